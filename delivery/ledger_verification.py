"""Checking the whole ledger: every stream's chain, entry by entry, and that it ends at its head."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile

from delivery.artifact import Digest
from delivery.errors import VerificationError
from delivery.ledger import Break, Entry, breaks
from delivery.ports import Ledger, SegmentStore


@dataclass(frozen=True, slots=True)
class Verification:
    """What was checked and what is wrong; `broken` is empty when all is well."""

    rows: int
    heads: dict[str, tuple[int, Digest]]
    """Every stream's (sequence, digest), to be compared with what was published elsewhere."""
    broken: tuple[Break, ...]

    @property
    def ok(self) -> bool:
        """Whether every chain holds."""
        return not self.broken


class _Counted:
    """Entries passing by, counted: a ledger may be larger than memory."""

    def __init__(self) -> None:
        self.seen = 0
        self.last = 0
        """Sequence of the last one."""

    def through(self, entries: Iterator[Entry], closed: Mapping[int, Digest], found: list[Break]) -> Iterator[Entry]:
        """`found` gets a break where an entry is not the head that its closed segment was signed with."""
        self.last = 0
        for entry in entries:
            self.seen, self.last = self.seen + 1, entry.sequence
            if closed.get(entry.sequence, entry.digest) != entry.digest:
                found.append(Break(entry.stream, entry.sequence, "it is not the head of its closed segment"))
            yield entry


Heads = Mapping[str, tuple[int, Digest]]
"""By stream: the (sequence, digest) of its last entry."""


def verify(ledger: Ledger, published: Heads | None = None, segments: SegmentStore | None = None) -> Verification:
    """Read every entry once, streaming; entries appended meanwhile are left to the next time.

    `published` are heads that were recorded outside of the database: each must still be part of its chain. So must be
    the heads of closed segments; what has left the database is read from their files.
    """
    heads = ledger.streams()
    counted = _Counted()
    broken: list[Break] = []
    for stream, head in heads.items():
        try:
            closed = {one.last: one.head for one in segments.segments(stream)} if segments else {}
            broken += _breaks_of(ledger, stream, head, counted, closed)
        except VerificationError as error:
            broken.append(Break(stream, counted.last + 1, f"{error.message}; {error.hint}"))
    broken += unpublished(ledger, published or {})
    return Verification(counted.seen, heads, tuple(broken))


def unpublished(ledger: Ledger, published: Heads) -> list[Break]:
    """Heads that were published outside of the database, and that their chains do not have any more."""
    return [found for stream, head in published.items() if (found := _unpublished(ledger, stream, head))]


def _unpublished(ledger: Ledger, stream: str, head: tuple[int, Digest]) -> Break | None:
    """A published head that its chain does not have any more."""
    entry = next(iter(ledger.entries(stream, after=head[0] - 1)), None)
    if entry and (entry.sequence, entry.digest) == head:
        return None
    return Break(stream, head[0], "the head that was published outside of the database is not in the chain")


def _breaks_of(
    ledger: Ledger, stream: str, head: tuple[int, Digest], counted: _Counted, closed: Mapping[int, Digest]
) -> list[Break]:
    up_to_head = takewhile(lambda entry: entry.sequence <= head[0], ledger.entries(stream))
    unsealed: list[Break] = []
    found = breaks(counted.through(up_to_head, closed, unsealed), head if head[0] else None)
    found += unsealed
    beyond = [entry.sequence for entry in ledger.entries(stream, after=head[0])]
    now = ledger.streams().get(stream, head)
    if beyond and beyond[-1] > now[0]:  # an entry and its head are committed together
        found.append(Break(stream, beyond[0], f"there are entries beyond the recorded head {now[0]}"))
    return [Break(stream, one.sequence, one.reason) for one in found]
