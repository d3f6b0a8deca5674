"""iCalendar files read by a process of their own, which is ended when it takes too long."""

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from delivery.errors import ConfigurationError, TransientError
from delivery.freezing import Span

MOST_BYTES = 1_000_000
MOST_EVENTS = 2_000
AHEAD = timedelta(days=40)
_PATIENCE_SECONDS = 120
_READER = (sys.executable, "-Im", "delivery.adapters.calendar_expansion")


class CalendarFiles:
    """`delivery.ports.Calendars`; what was read once is remembered for the day, also that it cannot be read."""

    def spans(self, content: bytes, time_zone: str, day: date) -> tuple[Span, ...]:
        if len(content) > MOST_BYTES:
            raise ConfigurationError(f"it has {len(content)} bytes, more than the {MOST_BYTES} that are read")
        events = content.upper().count(b"BEGIN:VEVENT")
        if events > MOST_EVENTS:
            raise ConfigurationError(f"it has {events} events, more than the {MOST_EVENTS} that are read")
        found = _expanded(content, time_zone, day)
        if found.problem:
            raise ConfigurationError(found.problem)
        return found.spans


@dataclass(frozen=True, slots=True)
class _Expansion:
    spans: tuple[Span, ...] = ()
    problem: str = ""


@lru_cache(maxsize=16)
def _expanded(content: bytes, time_zone: str, day: date) -> _Expansion:
    begins = datetime.combine(day, time(), UTC)
    asked = {"time_zone": time_zone, "begins": begins.isoformat(), "ends": (begins + AHEAD).isoformat()}
    try:
        done = subprocess.run(
            _READER,
            input=json.dumps(asked).encode() + b"\n" + content,
            capture_output=True,
            env={"LANG": "C.UTF-8"},  # what a file from outside is read with knows nothing of this process
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TransientError("reading a calendar: this machine is too busy to do so") from error
    if done.returncode < 0:
        return _Expansion(problem="it takes too long to read: its rules are too many, or never come true")
    if done.returncode != 0:
        raise TransientError(f"reading a calendar: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return _read(json.loads(done.stdout))


def _read(answer: dict[str, Any]) -> _Expansion:
    if "problem" in answer:
        return _Expansion(problem=str(answer["problem"]))
    return _Expansion(
        tuple(
            Span(datetime.fromisoformat(begins), datetime.fromisoformat(ends), summary)
            for begins, ends, summary in answer["spans"]
        )
    )
