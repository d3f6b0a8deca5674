"""Rollouts: what a deployer is asked to run, what it sees, and where it stands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from delivery.artifact import Digest
from delivery.config import Run


class HealthState(StrEnum):
    """How a service is."""

    HEALTHY = "healthy"
    PROGRESSING = "progressing"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Target:
    """Where something is rolled out: one lane."""

    project: str
    environment: str
    group: str = "default"


@dataclass(frozen=True, slots=True)
class Workload:
    """One service ready to run in one environment.

    `run` is the definition with the environment's configuration merged in; its `secrets` are still
    references, resolved by the deployer at each start.
    """

    service: str
    artifact: Digest
    definition: Digest
    run: Run


@dataclass(frozen=True, slots=True)
class Candidate:
    """What gates judge and an approval is for: a release with a configuration under a policy version."""

    release: Digest
    configuration: Digest
    policy_version: int
    workloads: tuple[Workload, ...] = field(default=(), compare=False)

    @property
    def digest(self) -> Digest:
        """The identity of the three."""
        from delivery.canonical import canonical_digest

        return canonical_digest([self.release, self.configuration, self.policy_version])


@dataclass(frozen=True, slots=True)
class Instance:
    """One process (or container, or pod) of a service as the deployer sees it."""

    id: str
    service: str
    artifact: Digest
    release: Digest
    """The release it was started for."""
    health: HealthState
    port: int | None = None
    process_id: int | None = None
    restarts: int = 0
    message: str = ""
    """Why it is not healthy, for people; last lines of its output where that tells more."""
    serves: bool = True
    """Whether its router gives it traffic: during a rollout two sides may run one artifact, configured differently."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a target runs now, as seen by looking; `generation` grows with every applied change."""

    target: Target
    generation: int
    fence: int
    """The highest fence that has acted on the target."""
    candidate: Digest | None
    """The candidate applied last; None when nothing ever was."""
    release: Digest | None
    weights: Mapping[str, Mapping[Digest, int]]
    """Per service: per cent of traffic by artifact digest."""
    instances: tuple[Instance, ...]
    addresses: Mapping[str, str]
    """Per service: the router's stable URL."""


def misplaced(workloads: Iterable[Workload], observed: Observed) -> tuple[str, ...]:
    """A sentence about each service that answers on another port than its configuration says."""
    found = ((one, urlsplit(observed.addresses.get(one.service, "")).port) for one in workloads)
    return tuple(
        f"{one.service}: answers on port {port}, its configuration says {one.run.port}"
        for one, port in found
        if port and one.run.port and port != one.run.port
    )


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """What applying a candidate would do: pure, printable, and executed as it is."""

    target: Target
    candidate: Candidate
    base_generation: int
    start: tuple[str, ...]
    """Services that get new instances."""
    keep: tuple[str, ...]
    """Services that already run exactly this."""
    stop: tuple[str, ...]
    """Services that this candidate no longer has."""


@dataclass(frozen=True, slots=True)
class Handle:
    """A rollout under way; serialisable, so that another process can go on watching."""

    target: Target
    candidate: Digest
    generation: int
    fence: int


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a rollout: `healthy` once every new instance is, `failed` when one never will be."""

    healthy: bool
    failed: bool
    message: str
    observed: Observed
