"""What benches give, and the one table that shows it: `python -m bench` writes it into bench/README.md."""

import math
import os
import platform
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was measured several times, and what it is measured against."""

    what: str
    figures: list[float]
    """None where it could not be measured here; `what` says why."""
    unit: str
    target: float | None = None
    more_is_better: bool = False
    by_worst: bool = False
    """Whether the worst must reach the target too, not only the median."""
    beside: tuple[str, float | None] | None = None
    """Who else did the same in the same run, and their median; None with why there is none."""

    @property
    def median(self) -> float:
        """Of all figures."""
        return statistics.median(self.figures) if self.figures else math.nan

    @property
    def worst(self) -> float:
        """The figure that pleases least; of many the 95th percentile."""
        if not self.figures:
            return math.nan
        if len(self.figures) < 10:  # noqa: PLR2004  # too few for a percentile
            return min(self.figures) if self.more_is_better else max(self.figures)
        return statistics.quantiles(self.figures, n=20)[0 if self.more_is_better else -1]

    @property
    def holds(self) -> bool:
        """Whether the target is reached."""
        if self.target is None or not self.figures:
            return True
        judged = self.worst if self.by_worst else self.median
        return judged >= self.target if self.more_is_better else judged <= self.target


def markdown(rows: Iterable[Row]) -> str:
    """The table, with when and on what it was measured."""
    head = "| what | median | worst (of many: 95th percentile) | n | target | | beside it, in the same run |"
    lines = [_machine(), "", head, "|--|--|--|--|--|--|--|"]
    return "\n".join([*lines, *(_line(row) for row in rows), ""])


def plain(rows: Iterable[Row]) -> str:
    """As `markdown`, for a terminal."""
    return "\n".join(
        f"{row.what:56}{_figure(row.median):>9} {row.unit:10} worst {_figure(row.worst):>9}  {_target(row)}"
        for row in rows
    )


def _line(row: Row) -> str:
    beside = ""
    if row.beside:
        name, figure = row.beside
        beside = name if figure is None else f"{name}: {_figure(figure)} {row.unit}, {_ratio(row, figure)} x ours"
    cells = (f"{_figure(row.median)} {row.unit}", _figure(row.worst), len(row.figures))
    return "| " + " | ".join(map(str, (row.what, *cells, _limit(row), "" if row.holds else "missed", beside))) + " |"


def _ratio(row: Row, figure: float) -> str:
    """How much longer the other takes, or how much more it needs."""
    return f"{row.median / figure if row.more_is_better else figure / row.median:.1f}"


def _limit(row: Row) -> str:
    if row.target is None:
        return ""
    return f"{'worst ' if row.by_worst else ''}{'>=' if row.more_is_better else '<='} {_figure(row.target)}"


def _target(row: Row) -> str:
    return "" if row.target is None else f"target {_limit(row)}: {'holds' if row.holds else 'MISSED'}"


def _figure(number: float) -> str:
    """Three digits are enough."""
    if math.isnan(number):
        return "-"
    if abs(number) >= 100:  # noqa: PLR2004
        return f"{number:,.0f}"
    return f"{number:.2f}" if abs(number) >= 0.1 or number == 0 else f"{number:.4f}"  # noqa: PLR2004


def _machine() -> str:
    python, prefect = platform.python_version(), version("prefect")
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} shared cores ({platform.machine()}), "
        f"Python {python}, Prefect {prefect}; load average at the end: {os.getloadavg()[0]:.1f}."
    )
