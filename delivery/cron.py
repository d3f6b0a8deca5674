"""Cron expressions of five fields, in local time; the only importer of cronsim.

Daylight saving as Debian's cron has it: what falls into the hour that is skipped comes right after it, and what
falls into the hour that comes twice comes once, unless its hours or minutes are given with `*`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from delivery.errors import ConfigurationError

_FIELDS = 5


def require_cron(expression: str) -> None:
    """ConfigurationError unless it is one that ever comes."""
    hint = "five fields: minute hour day month day-of-week, for instance '0 17 * * 5'"
    if len(expression.split()) != _FIELDS:
        raise ConfigurationError(f"cron '{expression}' has {len(expression.split())} fields", hint=hint)
    try:
        CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        words = str(error)
        raise ConfigurationError(f"cron '{expression}': {words[:1].lower()}{words[1:]}", hint=hint) from error


def newest(expression: str, moment: datetime) -> datetime | None:
    """The last time that it came, at this moment or before; None when it never did."""
    after = moment.replace(microsecond=0) + timedelta(seconds=1)
    return next(_utc(CronSim(expression, after, reverse=True)), None)


def following(expression: str, moment: datetime) -> Iterator[datetime]:
    """The times after a moment, in order."""
    yield from _utc(CronSim(expression, moment))


def _utc(times: CronSim) -> Iterator[datetime]:
    for one in times:
        yield one.astimezone(UTC)
