"""All ports that acting code needs, connected: handed around as one frozen value."""

from collections.abc import Callable
from dataclasses import dataclass, field

from delivery.caching.tiers import SharedTier
from delivery.home import Home
from delivery.pace import Pace
from delivery.ports import (
    ArtifactStore,
    Calendars,
    Clock,
    Deployer,
    Ledger,
    NearStepCache,
    NearStore,
    Operations,
    Queue,
    SecretStore,
    Signatures,
    Smoker,
    SourceRepository,
    StepCache,
    Store,
)
from delivery.step_execution import StepPorts


@dataclass(frozen=True, slots=True)
class Near:
    """Store and step cache on this machine: what is looked through and cleared."""

    store: NearStore
    steps: NearStepCache


@dataclass(frozen=True, slots=True)
class Connections:
    """One installation's ports. `delivery.adapters.embedded.connect(home)` makes it from the embedded adapters."""

    home: Home
    clock: Clock
    ledger: Ledger
    operations: Operations
    queue: Queue
    source: Callable[[str], SourceRepository]
    """By project slug: the mirror of its repository."""
    store: Store
    step_cache: StepCache
    near: Near
    artifacts: ArtifactStore
    steps: StepPorts
    deployer: Deployer
    smoker: Smoker
    secrets: SecretStore
    signatures: Signatures
    calendars: Calendars
    shared: SharedTier | None = None
    """Results that other installations read too, if there is such a tier; `store` and `step_cache` read it already."""
    pace: Pace = field(default_factory=Pace)
    close: Callable[[], None] = lambda: None
    """Give what is connected back; it connects anew when it is asked again."""
