"""Closing segments of the ledger, and letting old ones leave the database."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice

from delivery.errors import VerificationError
from delivery.ledger import Break, breaks
from delivery.ports import Ledger, SegmentStore
from delivery.segments import LENGTH, Segment, breaks_of, detachable, end_of, following_segment

Detach = Callable[[Segment], int]


def close_segments(ledger: Ledger, segments: SegmentStore, length: int = LENGTH) -> list[Segment]:
    """Close what is full in every stream; VerificationError where the chain does not hold, and that is not closed."""
    heads = ledger.streams()
    return [one for stream, head in heads.items() for one in _closing(ledger, segments, stream, head[0], length)]


def _closing(ledger: Ledger, segments: SegmentStore, stream: str, head: int, length: int) -> Iterator[Segment]:
    closed = segments.segments(stream)
    while place := following_segment(head, closed, length):
        after = end_of(closed)
        entries = list(islice(ledger.entries(stream, after=after[0]), place[1] - after[0]))
        _require_whole(stream, breaks(entries, after=after))
        closed = [*closed, segments.close(entries)]
        yield closed[-1]


def detach_old(ledger: Ledger, segments: SegmentStore, detach: Detach, now: datetime, kept: timedelta) -> list[Segment]:
    """Let old segments leave the database, after the file of each was read; those that left something now."""
    found = (one for stream in ledger.streams() for one in detachable(segments.segments(stream), now, kept))
    return [one for one in found if _detached(segments, one, detach)]


def _detached(segments: SegmentStore, segment: Segment, detach: Detach) -> bool:
    _require_whole(segment.stream, breaks_of(segment, segments.entries_of(segment)))
    return detach(segment) > 0


def _require_whole(stream: str, found: list[Break]) -> None:
    if found:
        message = f"closing a segment of '{stream}': entry {found[0].sequence}: {found[0].reason}"
        raise VerificationError(message, hint="shipline ledger verify lists every break")
