"""Everything that executing steps needs, on this machine and below one home."""

from dataclasses import dataclass

from delivery.adapters.folder_store import FolderStepCache, FolderStore
from delivery.adapters.process_fixtures import ProcessFixtures
from delivery.adapters.process_runner import ProcessRunner
from delivery.adapters.reports import read_reports
from delivery.adapters.step_log import StepLog
from delivery.adapters.tool_versions import tool_version
from delivery.caching.tiers import Asking, SharedTier, TieredStepCache, TieredStore
from delivery.connections import Near
from delivery.home import Home
from delivery.isolation import IsolationMode
from delivery.ports import StepCache, Store
from delivery.shared_cache import SharedCacheSettings
from delivery.step_execution import StepPorts


def near_cache(home: Home) -> Near:
    """Store and step cache below a home."""
    store = FolderStore(home.store)
    return Near(store, FolderStepCache(home.steps, store))


@dataclass(frozen=True, slots=True)
class Tiers:
    """What steps read and write, and the tier behind it, if there is one."""

    store: Store
    steps: StepCache
    shared: SharedTier | None = None


def tiers_of(home: Home, near: Near, settings: SharedCacheSettings | None) -> Tiers:
    """The near tier alone, or with the shared one behind it."""
    if settings is None:
        return Tiers(near.store, near.steps)
    from delivery.adapters.s3_cache import S3Bucket, S3StepCache, S3Store

    asking, bucket = Asking(settings.address), S3Bucket(settings)
    far = S3Store(bucket, home.work / "shared-cache")
    store = TieredStore(near.store, far, asking)
    far_steps = S3StepCache(bucket, far)
    shared = SharedTier((near.store, near.steps), (far, far_steps), asking)
    return Tiers(store, TieredStepCache(near.steps, far_steps, store, asking), shared)


def local_step_ports(
    home: Home, tiers: Tiers | None = None, isolation: IsolationMode = IsolationMode.AUTO
) -> StepPorts:
    """The process runner and its fixtures, with store and cache of the home."""
    tiers = tiers or tiers_of(home, near_cache(home), None)
    runner = ProcessRunner(isolation)
    return StepPorts(
        runner=runner,
        fixtures=ProcessFixtures(runner, home.work / "fixtures", home.root / "cache"),
        store=tiers.store,
        cache=tiers.steps,
        tool=tool_version,
        read_reports=read_reports,
        open_log=StepLog,
    )
