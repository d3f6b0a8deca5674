"""The ledger: one append-only, hash-chained stream of entries per project.

An entry's hash covers its stored bytes and the hash of the entry before it, so that an edited,
removed or reordered entry breaks the chain from there on. Chaining and checking are pure here;
storing is the `Ledger` port.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

from delivery.actor import Actor
from delivery.artifact import Digest, digest_of
from delivery.canonical import canonical_bytes

GENESIS = Digest("sha256:" + "0" * 64)
SCHEMA_VERSION = 1
CONTROL = "@control"
"""The stream of what belongs to the control plane and to no project; no project can be called so."""


def utc_text(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and `Z`: the one form of times in entries."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact to append: its kind in the past tense (`promotion.requested`) and its body."""

    kind: str
    body: Mapping[str, JsonValue]
    actor: Actor
    at: datetime
    idempotency_key: str | None = None
    """The same key again has no second effect: the entry that is there is returned."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact as stored. `content` is canonical JSON of kind, schema version, time, actor, key and body."""

    stream: str
    sequence: int
    content: bytes
    previous: Digest
    digest: Digest


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A draft, written but for its place: sequence and stream sort last in the canonical form."""

    kind: str
    idempotency_key: str | None
    content: bytes
    """Without the end."""


def unplaced(draft: Draft) -> Unplaced:
    """What can be done before a stream's head is known, and is most of the work; ValueError as `canonical_bytes`."""
    actor = {"kind": draft.actor.kind, "subject": draft.actor.subject, "evidence": draft.actor.evidence}
    content = canonical_bytes(
        {
            "kind": draft.kind,
            "schema": SCHEMA_VERSION,
            "at": utc_text(draft.at),
            "actor": dict(actor),
            "key": draft.idempotency_key,
            "body": dict(draft.body),
        }
    )
    return Unplaced(draft.kind, draft.idempotency_key, content.removesuffix(b"}"))


def placed(stream: str, sequence: int, previous: Digest, draft: Unplaced) -> Entry:
    """The draft as the entry that follows `previous`."""
    content = b'%b,"sequence":%d,"stream":%b}' % (draft.content, sequence, canonical_bytes(stream))
    return Entry(stream, sequence, content, previous, digest_of(previous.encode() + content))


def chained(stream: str, sequence: int, previous: Digest, draft: Draft) -> Entry:
    """As `placed`, at once."""
    return placed(stream, sequence, previous, unplaced(draft))


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain does not hold, and why."""

    stream: str
    sequence: int
    reason: str


def breaks(
    entries: Iterable[Entry], head: tuple[int, Digest] | None = None, after: tuple[int, Digest] = (0, GENESIS)
) -> list[Break]:
    """Every place where one stream's entries, in order from the one that follows `after`, do not form a chain.

    `head` is the (sequence, digest) recorded elsewhere; a chain that ends before it was cut off.
    """
    found: list[Break] = []
    previous, expected = after[1], after[0] + 1
    last: Entry | None = None
    for entry in entries:
        if entry.sequence != expected:
            found.append(Break(entry.stream, expected, f"expected entry {expected}, found {entry.sequence}"))
        if entry.previous != previous:
            found.append(Break(entry.stream, entry.sequence, "does not follow the entry before it"))
        if digest_of(entry.previous.encode() + entry.content) != entry.digest:
            found.append(Break(entry.stream, entry.sequence, "content does not match its hash"))
        previous, expected, last = entry.digest, entry.sequence + 1, entry
    if head and (last is None or (last.sequence, last.digest) != head):
        stream = last.stream if last else ""
        found.append(Break(stream, head[0], "the chain does not end at the recorded head"))
    return found
