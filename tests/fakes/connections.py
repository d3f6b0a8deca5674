"""A whole installation in memory: every port a fake, all on one clock that a test may turn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from delivery.adapters.reports import read_reports
from delivery.adapters.step_log import StepLog
from delivery.connections import Connections, Near
from delivery.home import Home
from delivery.ports import Deployer, Ledger, Smoker
from delivery.runner import ToolVersion
from delivery.step_execution import StepPorts
from tests.fakes.artifact_store import InMemoryArtifactStore
from tests.fakes.calendars import TableCalendars
from tests.fakes.clock import FakeClock
from tests.fakes.deployer import InMemoryDeployer, World
from tests.fakes.fixtures import NamedFixtures
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.operations import InMemoryOperations
from tests.fakes.queue import InMemoryQueue
from tests.fakes.runner import Act, ScriptedRunner
from tests.fakes.secret_store import InMemorySecrets
from tests.fakes.signatures import InMemorySignatures
from tests.fakes.smoker import TableSmoker
from tests.fakes.source_repository import InMemorySource
from tests.fakes.store import InMemoryStepCache, InMemoryStore


@dataclass(slots=True)
class Installation:
    """What outlives a process: keep it, and connect anew after each crash."""

    home: Home
    clock: FakeClock = field(default_factory=FakeClock)
    world: World = field(default_factory=World)
    source: InMemorySource = field(default_factory=InMemorySource)
    store: InMemoryStore = field(default_factory=InMemoryStore)
    artifacts: InMemoryArtifactStore = field(default_factory=InMemoryArtifactStore)
    acts: Mapping[tuple[str, ...], list[Act]] = field(default_factory=dict)
    """What each command does when a step or build runs it."""
    operations: InMemoryOperations = field(init=False)
    ledger: InMemoryLedger = field(init=False)
    queue: InMemoryQueue = field(default_factory=InMemoryQueue)
    secrets: InMemorySecrets = field(init=False)
    step_cache: InMemoryStepCache = field(init=False)
    calendars: TableCalendars = field(default_factory=TableCalendars)

    def __post_init__(self) -> None:
        self.operations = InMemoryOperations(self.clock.now)
        self.ledger = InMemoryLedger(self.operations)
        self.secrets = InMemorySecrets(self.clock.now)
        self.step_cache = InMemoryStepCache(self.store)

    def connect(
        self, ledger: Ledger | None = None, deployer: Deployer | None = None, smoker: Smoker | None = None
    ) -> Connections:
        """The ports as one process holds them; wrappers may stand in for some."""
        return Connections(
            home=self.home,
            clock=self.clock,
            ledger=ledger or self.ledger,
            operations=self.operations,
            queue=self.queue,
            source=lambda _project: self.source,
            store=self.store,
            step_cache=self.step_cache,
            near=Near(self.store, self.step_cache),
            artifacts=self.artifacts,
            steps=self._steps(),
            deployer=deployer or InMemoryDeployer(self.world),
            smoker=smoker or TableSmoker(everything=200),
            secrets=self.secrets,
            signatures=InMemorySignatures(),
            calendars=self.calendars,
        )

    def _steps(self) -> StepPorts:
        return StepPorts(
            runner=ScriptedRunner(self.acts),
            fixtures=NamedFixtures(),
            store=self.store,
            cache=self.step_cache,
            tool=lambda name: ToolVersion(name, Path("/usr/bin") / name, "1"),
            read_reports=read_reports,
            open_log=StepLog,
        )
