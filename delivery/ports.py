"""Ports: what Shipline asks of the outside world, in its own words.

All are synchronous; flows call them on threads. Every method raises `TransientError` when the world
did not answer and `PermanentError` when it said no. Each port has one fake in `tests/fakes/` that
passes the same contract test as the real adapters.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Protocol

from pydantic import JsonValue

from delivery.artifact import Artifact, Digest
from delivery.config import Fixture, Smoke
from delivery.freezing import Span
from delivery.isolation import Isolation
from delivery.ledger import Draft, Entry
from delivery.queue import Queued
from delivery.rollout import Candidate, Handle, Observed, Progress, RolloutPlan, Target
from delivery.runner import Exit, ProcessSpec
from delivery.segments import Segment
from delivery.source import Change, Commit, Revision
from delivery.verification import SmokeReport

Row = Mapping[str, JsonValue]


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Aware, in UTC."""
        ...


class Calendars(Protocol):
    """Reads iCalendar files."""

    def spans(self, content: bytes, time_zone: str, day: date) -> tuple[Span, ...]:
        """The events that touch the 40 days from a day (in UTC) on, recurring ones each time, cancelled ones never.

        Dates and times without a time zone of their own are as clocks show them in the one given. ConfigurationError
        when it is no such file, or more than can be read in ten seconds.
        """
        ...


class SourceRepository(Protocol):
    """A project's git repository, mirrored where the control plane can read it."""

    def resolve(self, name: str) -> Revision:
        """The full commit of a branch, tag or (short) commit; NotFoundError when there is none."""
        ...

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor; None when the histories are unrelated."""
        ...

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older` (a commit contains itself)."""
        ...

    def changes(self, base: str | None, head: str) -> tuple[Change, ...]:
        """Changed paths; with no base, every path of `head` as added."""
        ...

    def commits(self, base: str | None, head: str, paths: Sequence[str] = ()) -> tuple[Commit, ...]:
        """Commits reachable from `head` and not from `base`, newest first, with merges; only of `paths`, if given."""
        ...

    def describe(self, revision: str) -> Commit:
        """What there is to know of one commit."""
        ...

    def touched(self, base: str, head: str) -> Collection[str]:
        """Every path in which one of those commits differs from a parent of it, before and after a renaming."""
        ...

    def count(self, base: str | None, head: str) -> int:
        """How many commits `commits` without paths would give."""
        ...

    def files(self, revision: str) -> Sequence[str]:
        """Every path, submodules and symbolic links included, sorted as git does."""
        ...

    def tree_digest(self, revision: str, patterns: Sequence[str]) -> Digest:
        """One digest over path, mode and content of every file that a pattern matches (no pattern: all files)."""
        ...

    def read(self, revision: str, path: str) -> bytes | None:
        """A file's content at a revision; None when it is not there."""
        ...

    def version_tags(self, revision: str) -> tuple[tuple[str, str], ...]:
        """(tag, commit) of every tag on an ancestor of the revision, the revision itself included."""
        ...

    def checkout(self, revision: str, folder: Path) -> None:
        """A clean tree of exactly that revision, submodules as recorded, in an empty folder."""
        ...


class Runner(Protocol):
    """Runs one process with limits, streaming its output."""

    def run(self, spec: ProcessSpec, output: Callable[[bytes], None], cancelled: Event) -> Exit:
        """Run to the end; the whole process group is gone when this returns, whatever happened.

        TransientError when it has to be isolated and cannot be.
        """
        ...


class Fixtures(Protocol):
    """Throw-away services of a step."""

    def start(
        self,
        fixture: Fixture,
        folder: Path,
        output: Callable[[bytes], None],
        isolation: Isolation | None = None,
    ) -> AbstractContextManager[Mapping[str, str]]:
        """Ready on entering, gone on leaving; gives the environment variables that say where it is.

        It is isolated as the step is, since the step may have it do anything.

        TransientError when it does not get ready in time.
        """
        ...


class Store(Protocol):
    """Content-addressed blobs. Writing is atomic; reading checks the digest and treats corruption as absence."""

    def put(self, content: bytes) -> Digest:
        """Store bytes; storing again is free."""
        ...

    def put_file(self, path: Path) -> Digest:
        """Store a file's content, streaming."""
        ...

    def get(self, digest: Digest) -> bytes | None:
        """The content; None when absent or corrupt."""
        ...

    def open(self, digest: Digest) -> Path | None:
        """A path to read a large blob from; None when absent or corrupt."""
        ...

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there (not checked for corruption)."""
        ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """A step's record, and the blobs that it names."""

    record: Row
    blobs: tuple[Digest, ...]


class StepCache(Protocol):
    """What successful steps left: a JSON record by step key, pointing at blobs in the store."""

    def lookup(self, key: Digest) -> Row | None:
        """The record, if it and all its blobs can be read; otherwise None (a miss)."""
        ...

    def read(self, key: Digest) -> Recorded | None:
        """The record alone, whether or not its blobs are there; this does not count as a use of it."""
        ...

    def record(self, key: Digest, record: Row, blobs: Sequence[Digest]) -> None:
        """Remember a success, atomically, after its blobs."""
        ...


@dataclass(frozen=True, slots=True)
class KeptBlob:
    """A blob as it lies on this machine."""

    digest: Digest
    size: int
    """Bytes."""
    used_at: datetime
    """When it was put or looked up last."""


@dataclass(frozen=True, slots=True)
class KeptResult:
    """A step's record as it lies on this machine."""

    key: Digest
    blobs: tuple[Digest, ...]
    size: int
    """Bytes of the record alone."""
    used_at: datetime
    """When it was recorded or looked up last."""


class NearStore(Store, Protocol):
    """A store on this machine, which can be looked through and cleared while others use it."""

    def blobs(self) -> Iterator[KeptBlob]:
        """Every blob, in no order."""
        ...

    def remove(self, digest: Digest, unused_since: datetime) -> bool:
        """Remove a blob that nobody has used since then; whether it was removed. Who puts it meanwhile keeps it."""
        ...


class NearStepCache(StepCache, Protocol):
    """A step cache on this machine, which can be looked through and cleared while others use it.

    Looking a key up is a use of the record and of all its blobs.
    """

    def results(self) -> Iterator[KeptResult]:
        """Every record that can be read, in no order."""
        ...

    def remove(self, key: Digest, unused_since: datetime) -> bool:
        """Remove a record that nobody has used since then; whether it was removed."""
        ...


class ArtifactStore(Protocol):
    """Packs folders into artifacts and unpacks them by digest (OCI artifacts)."""

    def pack(self, folder: Path, annotations: Mapping[str, str]) -> tuple[Digest, int]:
        """Store a folder as an artifact: (manifest digest, content bytes). Same tree, same digest, always.

        Annotations are kept beside the artifact (in the index), never in its bytes.
        """
        ...

    def unpack(self, digest: Digest, folder: Path) -> None:
        """Write the artifact's tree into an empty folder; PermanentError when absent or corrupt."""
        ...

    def has(self, digest: Digest) -> bool:
        """Whether the artifact is complete and undamaged: all of it is read. `pack` replaces what is not."""
        ...


class Deployer(Protocol):
    """Makes a target run a candidate. Fenced: a fence lower than one already seen raises StaleFenceError."""

    def observe(self, target: Target) -> Observed:
        """What runs, by looking; never from memory."""
        ...

    def plan(self, target: Target, candidate: Candidate, observed: Observed) -> RolloutPlan:
        """What applying would do; no effect."""
        ...

    def apply(self, plan: RolloutPlan, fence: int) -> Handle:
        """Start the new side beside the old one, without traffic. Idempotent for the same candidate and fence.

        Runs `before_rollout` commands first; PermanentError with their last output lines when one fails.
        """
        ...

    def watch(self, handle: Handle, deadline: datetime) -> Iterator[Progress]:
        """Looks, at least every half second, until healthy, failed or the deadline."""
        ...

    def shift(self, handle: Handle, percent: int, fence: int) -> Observed:
        """Give the candidate's side this share of traffic; returns once the router serves so."""
        ...

    def retire(self, handle: Handle, fence: int) -> Observed:
        """Drain and stop what gets no traffic: the old side after 100, the new side after 0."""
        ...


class Smoker(Protocol):
    """Runs a smoke suite over HTTP."""

    def run(self, suite: Smoke, addresses: Mapping[str, str], secret: Callable[[str], str]) -> SmokeReport:
        """Ask every request in order; `secret` resolves `secret:NAME`. Never raises for a service's behaviour."""
        ...


class SecretStore(Protocol):
    """Secrets by reference, scoped to project and, optionally, environment."""

    def resolve(self, reference: str, project: str, environment: str | None, purpose: str) -> str:
        """The value of `secret:NAME`; the environment's own before the project's.

        NotFoundError when unset, PermanentError when expired or not readable.
        """
        ...

    def put(
        self,
        name: str,
        value: str,
        project: str,
        environment: str | None,
        owner: str,
        expires_at: datetime | None = None,
    ) -> None:
        """Set or replace; ConfigurationError for a name or value that `delivery.secret` refuses."""
        ...

    def remove(self, name: str, project: str, environment: str | None) -> bool:
        """Whether there was one."""
        ...

    def list(self, project: str) -> Sequence[Row]:
        """`{name, scope, owner, expires_at, last_used_at}`, never a value."""
        ...


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key that somebody signs with."""

    line: str
    """Type and base64, without options or comment."""
    fingerprint: str
    """`SHA256:...`"""


class Signatures(Protocol):
    """SSH signatures over statements of ours."""

    def read_key(self, line: str) -> SigningKey:
        """One line of a `.pub` file; ConfigurationError when it is no key, or a weak one."""
        ...

    def verify(self, content: bytes, signature: str, person: str, keys: Sequence[str]) -> str | None:
        """The fingerprint of the one of these keys that signed exactly this for us; None when none did."""
        ...


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act, until a time, with a fence that only grows."""

    name: str
    holder: str
    fence: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Guard:
    """What must hold, under the stream's lock, for an append to happen."""

    lease: Lease | None = None
    """Still held by this holder with this fence."""
    promotion: str | None = None
    phases: tuple[str, ...] = ()
    """The promotion is in one of these phases."""


class SegmentStore(Protocol):
    """Closed segments of the ledger, outside of the database. VerificationError for what is missing or not ours."""

    def close(self, entries: Sequence[Entry]) -> Segment:
        """Write and sign entries (one at least) that follow one another in one stream; the same again is the same."""
        ...

    def segments(self, stream: str) -> list[Segment]:
        """In order; the signature of each is checked."""
        ...

    def entries(self, stream: str, after: int) -> Iterator[Entry]:
        """Those after this sequence that stand in the same segment as the next one; none when no segment has it."""
        ...

    def entries_of(self, segment: Segment) -> Iterator[Entry]:
        """In order, streaming."""
        ...


class Ledger(Protocol):
    """Entries, and the projections made from them in the same transaction (`delivery.projection`)."""

    def append(self, stream: str, drafts: Sequence[Draft], guard: Guard | None = None) -> list[Entry]:
        """Append in order under the stream's lock; a draft whose key exists gives the entry that is there.

        StaleFenceError, and nothing appended, when the guard does not hold.
        """
        ...

    def entries(self, stream: str, after: int = 0) -> Iterator[Entry]:
        """In order of sequence, streaming."""
        ...

    def streams(self) -> dict[str, tuple[int, Digest]]:
        """Every stream with its head: (sequence, digest)."""
        ...

    def rows(
        self, table: str, order: str | None = None, limit: int | None = None, **equal: JsonValue
    ) -> list[dict[str, JsonValue]]:
        """Documents whose fields equal (or, for a list, are in) what is given; `order` by a field, `-` reverses."""
        ...

    def rebuild(self) -> None:
        """Make every projection anew from the entries, in one transaction."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A process took up one Scheduled state of a flow run, so that no other does."""

    flow_run: str
    state: str
    """Prefect's id of that state: a flow run that is resumed or tried again has another one."""
    process: Row
    """Which one: what `dataclasses.asdict` makes of its identity."""


class Operations(Protocol):
    """Mutable operations tables: leases, runs and their steps. No evidence; losing them loses no truth."""

    def acquire(self, name: str, holder: str, ttl: timedelta) -> Lease | None:
        """Take a free or lapsed lease (fence grows), or renew one's own (fence stays); None when another holds it."""
        ...

    def renew(self, lease: Lease, ttl: timedelta) -> bool:
        """Whether it is still ours; extends it if so."""
        ...

    def hand_over(self, lease: Lease, holder: str, ttl: timedelta) -> Lease | None:
        """Give it to another holder with a higher fence; None when it is no longer ours."""
        ...

    def release(self, lease: Lease) -> None:
        """Let go; does nothing when it is no longer ours."""
        ...

    def leases(self, prefix: str = "") -> list[Lease]:
        """Leases that have not lapsed."""
        ...

    def save(self, table: str, key: str, project: str, document: Row) -> None:
        """Insert or replace a document (tables: `runs`, `steps`, `projects`, `plans`, `durations`)."""
        ...

    def save_all(self, table: str, project: str, documents: Mapping[str, Row]) -> None:
        """As `save`, for many keys at once: all or none."""
        ...

    def load(self, table: str, key: str) -> dict[str, JsonValue] | None:
        """The document, or None."""
        ...

    def find(
        self, table: str, project: str | None = None, limit: int = 1000, *, below: str = "", **equal: JsonValue
    ) -> list[dict[str, JsonValue]]:
        """Documents, newest first, whose top-level fields equal what is given; `below` a key, as `run/step` is."""
        ...

    def keys(self, table: str, before: str, limit: int = 1000) -> list[str]:
        """Keys of a table's documents that sort before this one, in order."""
        ...

    def forget(self, identity: str) -> None:
        """Drop what is kept of a run or promotion that has ended: its documents in every table, and a run's lease."""
        ...

    def claim(self, claim: Claim) -> bool:
        """Whether nobody had claimed that state of that flow run; it is claimed now in any case."""
        ...

    def claims(self) -> list[Claim]:
        """Those that nobody has dropped."""
        ...

    def drop_claim(self, claim: Claim) -> bool:
        """The process is done; whether its claim was still there."""
        ...


class Queue(Protocol):
    """What is to be taken up by flow runs; an operations table like the others."""

    def put(self, queued: Queued) -> None:
        """Let it wait, unless it does already where it stands; what has left waits anew, its `starts` kept."""
        ...

    def feed(self, queued: Queued) -> None:
        """Keep which flow run was asked to take it up, when, and how many were."""
        ...

    def begin(self, subject: str, at: datetime) -> None:
        """A process works on it; the first beginning counts, where it stands."""
        ...

    def leave(self, queued: Queued) -> None:
        """Nothing has to take it up any more, where it stood."""
        ...

    def entries(self) -> list[Queued]:
        """All that have not left, the oldest request first."""
        ...

    def flow_run(self, subject: str) -> str | None:
        """The one that was asked last to take it up, also when it has left."""
        ...

    def waits(self, since: datetime) -> list[float]:
        """Seconds from request to beginning of all that have begun since then, the shortest first."""
        ...

    def forget(self, before: datetime) -> None:
        """Drop what has left and was asked for before then."""
        ...


class FlowRuns(Protocol):
    """Starts and wakes flow runs (Prefect), never twice for one key."""

    def ensure_deployments(self, project: str, environments: Iterable[str]) -> None:
        """Work pools and Prefect deployments of a project; idempotent."""
        ...

    def start(
        self,
        flow: str,
        project: str,
        parameters: Row,
        key: str,
        environment: str | None = None,
        name: str = "",
    ) -> str:
        """Request a top-level flow run, or return the id of the one that this key already started."""
        ...

    def wake(self, flow_run: str) -> bool:
        """Resume a suspended flow run with `decision: recheck`; False when it is not suspended or unknown."""
        ...

    def state(self, flow_run: str) -> str | None:
        """Prefect's state type (`RUNNING`, `PAUSED`, ...); None when unknown to Prefect."""
        ...

    def url(self, flow_run: str) -> str:
        """Its page, for people."""
        ...

    def history(self, project: str) -> Iterator[Row]:
        """Every flow run of a project, oldest first: `{id, flow, parameters, state, message, started_at, ended_at}`."""
        ...


class Builds(Protocol):
    """What builds have made, by build key (a view of the ledger's `artifacts` projection)."""

    def by_key(self, build_key: Digest) -> Artifact | None:
        """The artifact that this key already has."""
        ...

    def by_keys(self, build_keys: Collection[Digest]) -> Mapping[Digest, Artifact]:
        """The artifacts that these keys already have, in one question."""
        ...
