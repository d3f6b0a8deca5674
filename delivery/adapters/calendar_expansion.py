"""Makes times of an iCalendar file's events: a program of its own, so that no rule can hang who asks.

The only importer of icalendar and recurring_ical_events. Reads a line of JSON (`{"time_zone", "begins", "ends"}`)
and then the file from standard input; writes `{"spans": [[begins, ends, summary]]}` or `{"problem": "..."}`.
"""

import json
import resource
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events

PROCESSOR_SECONDS = 10
_TOO_OFTEN = frozenset({"SECONDLY", "MINUTELY", "HOURLY"})
_LONGEST_SUMMARY = 80


def main() -> None:
    """Answer one question, within so many seconds of the processor; after that the kernel ends it."""
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    asked = json.loads(sys.stdin.buffer.readline())
    try:
        answer: dict[str, Any] = {"spans": list(spans(sys.stdin.buffer.read(), asked))}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        answer = {"problem": f"it is no iCalendar file: {' '.join(str(error).split())[:200] or type(error).__name__}"}
    json.dump(answer, sys.stdout)


def spans(content: bytes, asked: dict[str, str]) -> Iterator[list[str]]:
    """Every event that touches the time that is asked for and is not cancelled."""
    calendar = icalendar.Calendar.from_ical(content)
    _require_bearable(calendar)
    where = ZoneInfo(asked["time_zone"])
    first, last = (datetime.fromisoformat(asked[name]) for name in ("begins", "ends"))
    for event in recurring_ical_events.of(calendar).between(first, last):
        begins, ends = event.start, event.end
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        if not isinstance(begins, datetime) and ends <= begins:
            ends = begins + timedelta(days=1)
        yield [_utc(begins, where), _utc(ends, where), _one_line(str(event.get("SUMMARY", "")))]


def _one_line(text: str) -> str:
    """What a terminal can show without being changed by it."""
    return "".join(one for one in " ".join(text.split()) if one.isprintable())[:_LONGEST_SUMMARY]


def _require_bearable(calendar: Any) -> None:  # noqa: ANN401  # a component of icalendar
    for event in calendar.walk("VEVENT"):
        rules = event.get("RRULE", [])
        for rule in rules if isinstance(rules, list) else [rules]:
            often = {str(one).upper() for one in rule.get("FREQ", [])} & _TOO_OFTEN
            if often:
                raise ValueError(f"an event comes {often.pop().lower()}; daily is the most that is read")


def _utc(moment: date, where: ZoneInfo) -> str:
    """What has no time zone of its own is as clocks show it in the window's."""
    full = moment if isinstance(moment, datetime) else datetime.combine(moment, time())
    return (full if full.tzinfo else full.replace(tzinfo=where)).astimezone(UTC).isoformat()


if __name__ == "__main__":
    main()
