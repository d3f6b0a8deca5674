"""Segments: stretches of a stream that are closed, each a signed file outside of the database that verifies by itself.

A closed segment's contents may leave the database: their places, keys and digests stay there, so that nothing is
appended twice and the chain goes on, and whoever reads them gets them from the file. `docs/reference/ledger-format.md`
describes the files.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from delivery.artifact import Digest
from delivery.ledger import GENESIS, Break, Entry, breaks

LENGTH = 10_000
"""Entries of a segment."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One closed stretch, and how it is bound to what comes before and after."""

    stream: str
    first: int
    last: int
    previous: Digest
    """Digest of the entry before the first."""
    head: Digest
    """Digest of the last entry: the next entry follows it."""
    last_at: datetime
    """When the last entry was told."""
    content: Digest
    """Of the file's bytes."""


def following_segment(head: int, closed: Sequence[Segment], length: int = LENGTH) -> tuple[int, int] | None:
    """First and last sequence of what can be closed next; None while too few entries follow the last segment."""
    first = end_of(closed)[0] + 1
    last = first + length - 1
    return (first, last) if last <= head else None


def detachable(closed: Sequence[Segment], now: datetime, kept: timedelta) -> Iterator[Segment]:
    """Segments whose contents may leave the database: from the first on, as long as all of one is old enough."""
    for segment in closed:
        if segment.last_at > now - kept:
            return
        yield segment


def end_of(closed: Sequence[Segment]) -> tuple[int, Digest]:
    """(sequence, digest) that the next entry follows."""
    return (closed[-1].last, closed[-1].head) if closed else (0, GENESIS)


def breaks_of(segment: Segment, entries: Iterable[Entry]) -> list[Break]:
    """Where entries are not those of their segment."""
    return breaks(entries, (segment.last, segment.head), after=(segment.first - 1, segment.previous))
