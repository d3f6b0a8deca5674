"""The embedded default: every port on this machine, below one home."""

from datetime import UTC, datetime
from functools import cache, partial

from delivery.adapters.calendar_files import CalendarFiles
from delivery.adapters.encrypted_secrets import EncryptedSecrets
from delivery.adapters.git import GitRepository
from delivery.adapters.http_smoke import HttpSmoker
from delivery.adapters.local import LocalDeployer
from delivery.adapters.local_steps import local_step_ports, near_cache, tiers_of
from delivery.adapters.oci_layout import OciLayoutStore
from delivery.adapters.postgresql.engine import make_engine
from delivery.adapters.postgresql.ledger import PostgresqlLedger
from delivery.adapters.postgresql.operations import PostgresqlOperations
from delivery.adapters.postgresql.queue import PostgresqlQueue
from delivery.adapters.postgresql.urls import application_url
from delivery.adapters.segment_files import SegmentFiles
from delivery.adapters.ssh_keygen import SshKeygen
from delivery.connections import Connections
from delivery.home import Home
from delivery.isolation import IsolationMode
from delivery.pace import Pace
from delivery.shared_cache import SharedCacheSettings


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def connect(
    home: Home,
    shared_cache: SharedCacheSettings | None = None,
    isolation: IsolationMode = IsolationMode.AUTO,
    pace: Pace | None = None,
) -> Connections:
    """Every port of a home. Nothing is started; PostgreSQL is reached, where it is then, when it is first asked."""
    database = make_engine(partial(application_url, home))
    near = near_cache(home)
    tiers = tiers_of(home, near, shared_cache)
    steps, artifacts = local_step_ports(home, tiers, isolation), OciLayoutStore(home.artifacts)
    return Connections(
        home=home,
        clock=SystemClock(),
        ledger=PostgresqlLedger(database, segments=SegmentFiles(home)),
        operations=PostgresqlOperations(database),
        queue=PostgresqlQueue(database),
        source=lambda project: GitRepository(home.source(project)),
        store=steps.store,
        step_cache=steps.cache,
        near=near,
        artifacts=artifacts,
        steps=steps,
        deployer=LocalDeployer(home, artifacts),
        smoker=HttpSmoker(),
        secrets=EncryptedSecrets(home),
        signatures=SshKeygen(),
        calendars=CalendarFiles(),
        shared=tiers.shared,
        pace=pace or Pace(),
        close=database.dispose,
    )


@cache
def connected_here() -> Connections:
    """The ports of the home that this process works in, made once."""
    return connect(
        Home.here(), SharedCacheSettings.from_environment(), IsolationMode.from_environment(), Pace.from_environment()
    )
