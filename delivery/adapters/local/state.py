"""What should run and what was seen running in one local environment: two files, each with one kind of writer.

`desired.json` is changed by deployers, one at a time and compare-and-set: a change made with a fence lower than
the stored one is refused. `observed.json` is written by the data plane's supervisor alone. Neither has a secret.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from delivery.adapters.atomic_file import replace_file, writing
from delivery.adapters.processes import ProcessIdentity
from delivery.artifact import Digest
from delivery.config import Run
from delivery.errors import PermanentError, StaleFenceError, TransientError
from delivery.home import Home
from delivery.rollout import HealthState, Target

_LOCK_SECONDS = 10.0


class _State(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Side(_State):
    """One service of one candidate, with its share of the service's traffic."""

    id: str
    """`SERVICE-CONTENT-FENCE`: what runs, and the fence it was applied with."""
    service: str
    artifact: Digest
    release: Digest
    run: Run
    percent: int = 0

    @property
    def content(self) -> str:
        """The part of the id that says what runs."""
        return self.id.rsplit("-", 2)[1]


class Desired(_State):
    """What should run. `ports` are the routers', kept also for services that are gone."""

    generation: int = 0
    fence: int = 0
    candidate: Digest | None = None
    release: Digest | None = None
    applied: str = ""
    """Candidate and fence of the last application."""
    current: dict[str, str] = {}
    """By service: the side of the candidate applied last."""
    sides: tuple[Side, ...] = ()
    ports: dict[str, int] = {}
    moving: dict[str, int] = {}
    """By service: the other port that the candidate applied last wants; until it has taken over, both answer."""
    prepared: dict[str, str] = {}
    """By service: the application that `before_rollout` has last succeeded for."""
    previous: tuple[Digest, ...] = ()
    """Artifacts retired last, kept unpacked."""

    def of(self, service: str) -> tuple[Side, ...]:
        """A service's sides, oldest first."""
        return tuple(side for side in self.sides if side.service == service)

    def listening(self, service: str) -> tuple[int, ...]:
        """The ports that a service answers on; another service's is taken over once that one has left it."""
        others = {self.ports[one] for one in self.services if one != service}
        moves = self.moving.get(service)
        return (self.ports[service], *((moves,) if moves and moves not in others else ()))

    def port(self, service: str) -> int:
        """The port that a service is known by: the candidate's own as soon as that has all traffic."""
        return self.listening(service)[-1] if self.has_taken_over(service) else self.ports[service]

    def has_taken_over(self, service: str) -> bool:
        """Whether all of a service's traffic goes to the candidate applied last."""
        percents = (side.percent for side in self.of(service) if side.id == self.current.get(service))
        return next(percents, 0) == 100  # noqa: PLR2004  # per cent

    @property
    def taken(self) -> set[int]:
        """Ports that nobody else may have."""
        return {*self.ports.values(), *self.moving.values()}

    @property
    def services(self) -> tuple[str, ...]:
        """Services with a side."""
        return tuple(sorted({side.service for side in self.sides}))


class ProcessRecord(_State):
    """One supervised process as last seen; times are seconds since the epoch."""

    id: str
    pid: int | None = None
    started_at: float = 0.0
    """Of the identity: since boot."""
    boot: str = ""
    """Of the identity too."""
    port: int | None = None
    """Where it listens; a router's is that of its API."""
    spawned_at: float = 0.0
    exits: tuple[float, ...] = ()
    restarts: int = 0
    draining_since: float | None = None
    asked_at: float | None = None
    ready: bool = False
    failed_looks: int = 0
    last_answer: str = ""
    ending: str = ""
    service: str = ""
    side: str = ""
    """Empty for a router."""
    artifact: Digest | None = None
    release: Digest | None = None
    grace_seconds: float = 10.0
    health_timeout_seconds: float = 30.0
    health: HealthState = HealthState.UNKNOWN
    message: str = ""

    @property
    def identity(self) -> ProcessIdentity | None:
        """The process, if it was started."""
        return None if self.pid is None else ProcessIdentity(self.pid, self.started_at, self.boot)


class Observation(_State):
    """What the supervisor knows of an environment."""

    generation: int = 0
    """Of the desired state that it was acting on."""
    processes: tuple[ProcessRecord, ...] = ()


_Model = TypeVar("_Model", Desired, Observation)


def local_targets(home: Home) -> tuple[Target, ...]:
    """Everything that was ever rolled out here, environments of all projects."""
    found = [Target(path.parts[-3], path.parts[-2]) for path in sorted(home.data_plane.glob("*/*/desired.json"))]
    grouped = (path.parts for path in sorted(home.data_plane.glob("*/*/groups/*/desired.json")))
    return (*found, *(Target(parts[-5], parts[-4], parts[-2]) for parts in grouped))


def desired_files(home: Home) -> dict[Path, bytes]:
    """What should run in every environment as it is written down now: a few small files, read in one go."""
    found: dict[Path, bytes] = {}
    for target in local_targets(home):
        with suppress(FileNotFoundError):
            place = EnvironmentState(home, target).folder / "desired.json"
            found[place] = place.read_bytes()
    return found


class EnvironmentState:
    """The two files of one target."""

    def __init__(self, home: Home, target: Target) -> None:
        self.target = target
        self.folder = home.environment(target.project, target.environment)
        if target.group != "default":
            self.folder = self.folder / "groups" / target.group

    def desired(self) -> Desired:
        """What should run; nothing when nothing was ever applied."""
        return _read(self.folder / "desired.json", Desired)

    def observation(self) -> Observation:
        """What the supervisor wrote last; empty when it never did."""
        return _read(self.folder / "observed.json", Observation)

    def write_observation(self, observation: Observation) -> None:
        """For the supervisor only."""
        replace_file(self.folder / "observed.json", observation.model_dump_json().encode())

    def change(self, fence: int, change: Callable[[Desired], Desired]) -> Desired:
        """Replace the desired state under the lock; a change that changes nothing keeps the generation.

        StaleFenceError, and nothing is changed, when a higher fence has acted before.
        """
        what = f"changing {self.target.project}/{self.target.environment}"
        with writing(what, self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with _locked(self.folder / "desired.lock", what):
                return self._change(fence, change, what)

    def _change(self, fence: int, change: Callable[[Desired], Desired], what: str) -> Desired:
        before = self.desired()
        after = changed(before, fence, change, what)
        if after != before:
            replace_file(self.folder / "desired.json", after.model_dump_json().encode())
        return after


def changed(before: Desired, fence: int, change: Callable[[Desired], Desired], what: str) -> Desired:
    """The state after a change made with a fence; StaleFenceError when a higher one has acted before."""
    if fence < before.fence:
        raise StaleFenceError(
            f"{what} with fence {fence}: fence {before.fence} has acted on it since",
            hint="nothing was changed; another promotion has taken over this environment",
        )
    after = change(before)
    return after.model_copy(update={"fence": fence, "generation": before.generation + (after != before)})


@contextmanager
def _locked(path: Path, what: str) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout as error:
        raise TransientError(f"{what}: its state is locked by another process") from error
    try:
        yield
    finally:
        lock.release()


def _read(path: Path, model: type[_Model]) -> _Model:
    content = b""
    with suppress(FileNotFoundError):
        content = path.read_bytes()
    if not content:
        return model()
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise PermanentError(
            f"reading {path}: it is not a state of this version ({error.error_count()} problems)",
            hint="move the file away; the environment is then rolled out anew",
        ) from error
