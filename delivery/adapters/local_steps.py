"""Everything that executing steps needs, on this machine and below one home."""

from delivery.adapters.folder_store import FolderStepCache, FolderStore
from delivery.adapters.process_fixtures import ProcessFixtures
from delivery.adapters.process_runner import ProcessRunner
from delivery.adapters.reports import read_reports
from delivery.adapters.step_log import StepLog
from delivery.adapters.tool_versions import tool_version
from delivery.connections import Near
from delivery.home import Home
from delivery.step_execution import StepPorts


def near_cache(home: Home) -> Near:
    """Store and step cache below a home."""
    store = FolderStore(home.store)
    return Near(store, FolderStepCache(home.steps, store))


def local_step_ports(home: Home, near: Near | None = None) -> StepPorts:
    """The process runner and its fixtures, with store and cache of the home."""
    near = near or near_cache(home)
    runner = ProcessRunner()
    return StepPorts(
        runner=runner,
        fixtures=ProcessFixtures(runner, home.work / "fixtures", home.root / "cache"),
        store=near.store,
        cache=near.steps,
        tool=tool_version,
        read_reports=read_reports,
        open_log=StepLog,
    )
