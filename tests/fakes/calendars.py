"""Calendars as a table: the events of each file, said by the test."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from delivery.errors import ConfigurationError
from delivery.freezing import Span


@dataclass(slots=True)
class TableCalendars:
    """`delivery.ports.Calendars`; a content that the table does not have is no calendar."""

    events: dict[bytes, Sequence[Span]] = field(default_factory=dict)

    def spans(self, content: bytes, time_zone: str, day: date) -> tuple[Span, ...]:  # noqa: ARG002  # events are in UTC
        if content not in self.events:
            raise ConfigurationError("it is no iCalendar file: it is not in the table")
        begins = datetime.combine(day, time(), UTC)
        ends = begins + timedelta(days=40)
        return tuple(one for one in self.events[content] if one.begins < ends and one.ends > begins)
