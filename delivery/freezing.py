"""Freeze windows as times: from dates, a cron expression or a calendar's events to the stretch that holds now.

Everything is compared in UTC. A local time that comes twice or never, because clocks are changed, is read so
that the window is longer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from delivery.config_gates import Freeze
from delivery.cron import following, newest
from delivery.errors import ConfigurationError

_MOST_JOINED = 500
"""Windows of a cron expression that are joined when each begins before the last one ends."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From a moment, which is in it, to another, which is not; in UTC."""

    begins: datetime
    ends: datetime
    summary: str = ""
    """What a calendar calls it."""


def zone(name: str) -> ZoneInfo:
    """The time zone of a name; ConfigurationError when there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"'{name}' is not a time zone", hint="an IANA name like 'Europe/Berlin', or 'UTC'"
        ) from error


def dated_span(window: Freeze) -> Span:
    """From `from` to `until`; ConfigurationError when one is no date or date-time, or they are the wrong way round."""
    where = zone(window.time_zone)
    begins = min(_readings(window.begins or "", where, whole_day=False))
    ends = max(_readings(window.until or "", where, whole_day=True))
    if begins >= ends:
        raise ConfigurationError(f"it ends ({window.until}) before it begins ({window.begins})")
    return Span(begins, ends)


def _readings(text: str, where: ZoneInfo, *, whole_day: bool) -> tuple[datetime, datetime]:
    """Both moments that a local time may mean, in UTC; mostly the same one."""
    try:
        local = _local(text, whole_day=whole_day)
        return (
            local.replace(tzinfo=where, fold=0).astimezone(UTC),
            local.replace(tzinfo=where, fold=1).astimezone(UTC),
        )
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"'{text}' is neither a date nor a date and time", hint="write 2026-12-24 or 2026-12-24T17:00"
        ) from error


def _local(text: str, *, whole_day: bool) -> datetime:
    if "T" not in text:
        day = datetime.combine(date.fromisoformat(text), time())
        return day + timedelta(days=1) if whole_day else day
    found = datetime.fromisoformat(text)
    if found.tzinfo is not None:
        raise ValueError(text)
    return found


def cron_stretch(window: Freeze, now: datetime) -> Span | None:
    """The stretch of a cron expression's windows that holds now; windows that touch are one."""
    expression, lasts = window.cron or "", timedelta(seconds=window.for_seconds or 0)
    local = now.astimezone(zone(window.time_zone))
    last = newest(expression, local)
    if last is None or last + lasts <= now:
        return None
    begins, ends = last, last + lasts
    for begun in islice(following(expression, local), _MOST_JOINED):
        if begun > ends:
            break
        ends = begun + lasts
    return Span(begins, ends)


def stretch(spans: Iterable[Span], now: datetime) -> Span | None:
    """What holds now of spans, those that touch joined; the first one's summary."""
    held: Span | None = None
    for one in sorted(spans):
        if held is None and one.begins <= now < one.ends:
            held = one
        elif held is not None and one.begins <= held.ends:
            held = Span(min(held.begins, one.begins), max(held.ends, one.ends), held.summary)
    return held
