"""What of the cache may go: decided over a frozen view of it. Pure.

A release that is known keeps what it needs, whatever was asked for; so does a run that is under way, and so does
whatever was used a moment ago, because somebody may be about to name it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from delivery.artifact import Digest
from delivery.errors import ConfigurationError
from delivery.ports import KeptBlob, KeptResult

GRACE = timedelta(hours=1)
"""What was used less than this ago stays: a writer stores blobs first and names them afterwards."""
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_KEEP = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", re.ASCII)
_MOST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class Keep:
    """How much is to stay: so many bytes, or what was used since so long ago."""

    size: int | None = None
    age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Holdings:
    """The cache as it was seen, and what of it others count on."""

    results: tuple[KeptResult, ...]
    blobs: tuple[KeptBlob, ...]
    needed: frozenset[Digest]
    """Blobs that releases and promotions name."""
    under_way: frozenset[Digest]
    """Keys in the plans of runs that have not ended."""
    seen_at: datetime

    @property
    def unused_since(self) -> datetime:
        """What was used after this moment stays."""
        return self.seen_at - GRACE

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(one.size for one in self.results) + sum(one.size for one in self.blobs)


@dataclass(frozen=True, slots=True)
class Removal:
    """What goes, results before blobs."""

    results: tuple[KeptResult, ...]
    blobs: tuple[KeptBlob, ...]

    @property
    def size(self) -> int:
        """Bytes that it frees."""
        return sum(one.size for one in self.results) + sum(one.size for one in self.blobs)


def read_keep(text: str) -> Keep:
    """`2GB`, `500 MB` or `30d`; ConfigurationError for anything else."""
    found = _KEEP.fullmatch(text.strip())
    number, unit = (float(found[1]), found[2].upper()) if found else (0.0, "?")
    if unit == "D" and number <= _MOST_DAYS:
        return Keep(age=timedelta(days=number))
    if unit in _UNITS:
        return Keep(size=int(number * _UNITS[unit]))
    raise ConfigurationError(f"reading --keep {text}: that is neither a size nor an age", hint="such as 2GB or 30d")


def choose_removal(holdings: Holdings, keep: Keep) -> Removal:
    """The results that go, those used longest ago first, and the blobs that nothing which stays names."""
    staying, going = _choose_results(holdings, keep)
    named = holdings.needed | {blob for one in staying for blob in one.blobs}
    blobs = tuple(one for one in holdings.blobs if one.digest not in named and one.used_at <= holdings.unused_since)
    return Removal(tuple(going), blobs)


def _choose_results(holdings: Holdings, keep: Keep) -> tuple[list[KeptResult], list[KeptResult]]:
    """(staying, going). By size the newest stay as far as they fit; a blob that several name counts once."""
    sizes = {one.digest: one.size for one in holdings.blobs}
    counted = set(holdings.needed)
    left = (keep.size or 0) - sum(sizes.get(blob, 0) for blob in counted)
    staying: list[KeptResult] = []
    going: list[KeptResult] = []
    for one in _newest_first(holdings.results, holdings):
        more = one.size + sum(sizes.get(blob, 0) for blob in {*one.blobs} - counted)
        if _must_stay(one, holdings) or (left >= more if keep.age is None else _is_young(one, holdings, keep.age)):
            staying.append(one)
            counted |= {*one.blobs}
            left -= more
        else:
            going.append(one)
    return staying, going


def _newest_first(results: Iterable[KeptResult], holdings: Holdings) -> Sequence[KeptResult]:
    """What stays in any case comes first, so that the rest fits beside it."""
    return sorted(results, key=lambda one: (_must_stay(one, holdings), one.used_at, one.key), reverse=True)


def _must_stay(one: KeptResult, holdings: Holdings) -> bool:
    return one.key in holdings.under_way or one.used_at > holdings.unused_since


def _is_young(one: KeptResult, holdings: Holdings, age: timedelta) -> bool:
    return one.used_at > holdings.seen_at - age
