"""Retention: what is kept of runs and promotions that have ended, decided over frozen values.

The ledger keeps its truth for ever; this is about logs, run documents and what else only helps to look back.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from delivery.promotion import Promotion


@dataclass(frozen=True, slots=True)
class Retention:
    """How long, and how much."""

    runs: timedelta = timedelta(days=90)
    """What is kept of runs and promotions after they were asked for: logs, steps, plans."""
    log_bytes: int = 10 * 1024**3
    """Of all their logs together; the oldest go first."""
    prefect: timedelta = timedelta(days=30)
    """Prefect's flow runs, with their task runs, logs and artifacts, after their end."""
    prefect_events: timedelta = timedelta(days=7)
    """Prefect's events."""
    entries: timedelta = timedelta(days=365)
    """Contents of the ledger's closed segments in the database; after that they are read from the segment's file."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left of a run or promotion."""

    id: str
    at: datetime
    """When it was asked for."""
    bytes: int
    """Of its logs."""
    ended: bool
    release: str | None


def forgettable(
    oldest_first: Iterable[Remains], all_bytes: int, retained: frozenset[str], rules: Retention, now: datetime
) -> Iterator[Remains]:
    """What may go: what is too old, and the oldest beyond what logs may take; never of a retained release.

    Reads only as far as something may go.
    """
    for one in oldest_first:
        if one.at >= now - rules.runs and all_bytes <= rules.log_bytes:
            return
        if one.ended and one.release not in retained:
            all_bytes -= one.bytes
            yield one


def retained_releases(running: Iterable[Mapping[str, JsonValue]], promotions: Iterable[Promotion]) -> frozenset[str]:
    """Releases that run somewhere, that ran before those, or that are on their way.

    `running` are rows of what is live, `promotions` those that brought it and those that are not finished.
    """
    live = {str(row["release"]) for row in running}
    moving = {one.release for one in promotions}
    before = {str(one.previous_release) for one in promotions if one.previous_release}
    return frozenset(live | moving | before)


def asked_at(identity: str) -> datetime | None:
    """When a run or promotion was asked for: its id, of UUID's version 7, begins with that; None for other names."""
    digits = identity.replace("-", "")
    try:
        known = len(digits) == 32 and digits[12] == "7"  # noqa: PLR2004  # digits of a UUID
        return datetime.fromtimestamp(int(digits[:12], 16) / 1000, UTC) if known else None
    except ValueError:
        return None


def id_at(moment: datetime) -> str:
    """What sorts before every id made from then on, and after every earlier one."""
    digits = f"{max(0, round(moment.timestamp() * 1000)):012x}"
    return f"{digits[:8]}-{digits[8:]}"
