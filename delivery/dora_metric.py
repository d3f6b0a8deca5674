"""One metric: its value, what it rests on, and the rule that little data is no number."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

INSUFFICIENT_DATA = "insufficient data"
UNKNOWN = "unknown"
ENOUGH = 5
"""Fewer observations than this give no value: a rate of one in three says nothing, and nothing is not zero."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A value with its unit, how many observations it rests on, its band, and the rows behind it."""

    value: float | None
    """None when there is not enough data."""
    unit: str
    n: int
    band: str
    rows: tuple[str, ...]
    flags: tuple[str, ...] = ()
    """What a reader must know to read it right, in short sentences."""
    details: Mapping[str, JsonValue] = field(default_factory=dict)

    def document(self) -> dict[str, JsonValue]:
        """As `shipline dora --json` shows it."""
        return {
            "value": self.value,
            "unit": self.unit,
            "n": self.n,
            "band": self.band,
            "rows": list(self.rows),
            "flags": list(self.flags),
            **self.details,
        }


@dataclass(frozen=True, slots=True)
class Spell:
    """A duration observed on one row."""

    row: str
    seconds: float
    """May be negative, when two clocks disagree; counted as 0 and flagged."""
    ended: bool = True
    """Whether it is over; otherwise `seconds` is its age so far."""


Band = Callable[[float], str]


def duration(spells: Sequence[Spell], band: Band, flags: Iterable[str] = (), **details: JsonValue) -> Metric:
    """The median of spells, with the 90th percentile and the mean.

    One that is not over counts with its age so far and is flagged: the value is then a lower bound,
    which is closer to the truth than leaving the longest failures out.
    """
    seconds = [max(0.0, spell.seconds) for spell in spells]
    skewed = [spell.row for spell in spells if spell.seconds < 0]
    running: list[JsonValue] = [{"id": one.row, "age_seconds": one.seconds} for one in spells if not one.ended]
    told = [*flags, *_flag(skewed, "clock skew: {n} negative, counted as 0: {rows}")]
    if running:
        told.append(
            f"censored: {len(running)} not over yet, counted with the age so far, so the value is a lower bound"
        )
        details = {**details, "open": running}
    rows = tuple(spell.row for spell in spells)
    if len(spells) < ENOUGH:
        return insufficient("seconds", rows, told, **{"p90": None, "mean": None, **details})
    median = statistics.median(seconds)
    spread: dict[str, JsonValue] = {"p90": percentile(seconds, 0.9), "mean": statistics.fmean(seconds)}
    return Metric(median, "seconds", len(rows), band(median), rows, tuple(told), {**spread, **details})


def rate(hits: Sequence[str], rows: Sequence[str], band: Band) -> Metric:
    """Hits per row, each row counted once; `hits` are the rows' ids that count."""
    details: dict[str, JsonValue] = {"count": len(hits), "hits": list(hits)}
    if len(rows) < ENOUGH:
        return insufficient("ratio", rows, (), **details)
    value = len(hits) / len(rows)
    return Metric(value, "ratio", len(rows), band(value), tuple(rows), details=details)


def insufficient(unit: str, rows: Sequence[str], flags: Iterable[str] = (), **details: JsonValue) -> Metric:
    """A metric without a value."""
    return Metric(None, unit, len(rows), INSUFFICIENT_DATA, tuple(rows), tuple(flags), details)


def unknown(unit: str, rows: Sequence[str], because: str) -> Metric:
    """A metric whose source is missing: however many observations there are, they say nothing."""
    return Metric(None, unit, len(rows), UNKNOWN, tuple(rows), (because,), {"count": 0, "hits": []})


def percentile(values: Sequence[float], share: float) -> float:
    """The interpolated percentile (SQL's `percentile_cont`) of at least one value."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _flag(rows: Sequence[str], sentence: str) -> list[str]:
    return [sentence.format(n=len(rows), rows=", ".join(rows[:3]) + (", ..." if len(rows) > 3 else ""))] if rows else []  # noqa: PLR2004  # enough to find one
