"""Calendars, real and in memory: what is read of an iCalendar file."""

import time
from datetime import UTC, date, datetime

import pytest

from delivery.adapters.calendar_files import MOST_BYTES, CalendarFiles
from delivery.errors import ConfigurationError
from delivery.freezing import Span
from delivery.ports import Calendars
from tests.fakes.calendars import TableCalendars

DAY = date(2026, 12, 20)


def ics(*events: str) -> bytes:
    """A calendar of events, each given as its lines after UID."""
    made = (
        f"BEGIN:VEVENT\r\nUID:{number}\r\nDTSTAMP:20260101T000000Z\r\n{event}\r\nEND:VEVENT\r\n"
        for number, event in enumerate(events)
    )
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\n{''.join(made)}END:VCALENDAR\r\n".encode()


def utc(*parts: int) -> datetime:
    year, month, day, *rest = parts
    return datetime(year, month, day, *rest, tzinfo=UTC)  # type: ignore[arg-type,misc]  # hours and minutes


HOLIDAY = ics("SUMMARY:Christmas\r\nDTSTART:20261224T120000Z\r\nDTEND:20261227T000000Z")
CHRISTMAS = Span(utc(2026, 12, 24, 12), utc(2026, 12, 27), "Christmas")


@pytest.fixture(params=["real", "fake"])
def calendars(request: pytest.FixtureRequest) -> Calendars:
    return CalendarFiles() if request.param == "real" else TableCalendars({HOLIDAY: [CHRISTMAS]})


def test_an_event_is_a_span(calendars: Calendars) -> None:
    assert calendars.spans(HOLIDAY, "UTC", DAY) == (CHRISTMAS,)


def test_an_event_that_is_far_away_is_left_out(calendars: Calendars) -> None:
    assert calendars.spans(HOLIDAY, "UTC", date(2026, 12, 26)) == (CHRISTMAS,), "it is not over"
    assert calendars.spans(HOLIDAY, "UTC", date(2026, 12, 27)) == ()
    assert calendars.spans(HOLIDAY, "UTC", date(2026, 10, 1)) == ()


def test_what_is_no_calendar_is_refused(calendars: Calendars) -> None:
    with pytest.raises(ConfigurationError, match="it is no iCalendar file"):
        calendars.spans(b"hello\r\n", "UTC", DAY)


def test_days_and_floating_times_are_as_clocks_show_them_in_the_window_s_time_zone() -> None:
    file = ics(
        "SUMMARY:days\r\nDTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261226",
        "SUMMARY:one day\r\nDTSTART;VALUE=DATE:20261228",
        "SUMMARY:floating\r\nDTSTART:20261230T170000\r\nDTEND:20261230T180000",
        "SUMMARY:away\r\nDTSTART;TZID=America/New_York:20261231T170000\r\nDTEND;TZID=America/New_York:20261231T180000",
    )
    assert set(CalendarFiles().spans(file, "Europe/Berlin", DAY)) == {
        Span(utc(2026, 12, 23, 23), utc(2026, 12, 25, 23), "days"),
        Span(utc(2026, 12, 27, 23), utc(2026, 12, 28, 23), "one day"),
        Span(utc(2026, 12, 30, 16), utc(2026, 12, 30, 17), "floating"),
        Span(utc(2026, 12, 31, 22), utc(2026, 12, 31, 23), "away"),
    }


def test_events_come_again_and_cancelled_ones_never() -> None:
    file = ics(
        "SUMMARY:every year\r\nDTSTART;VALUE=DATE:20201224\r\nDTEND;VALUE=DATE:20201225\r\nRRULE:FREQ=YEARLY",
        "SUMMARY:gone\r\nSTATUS:CANCELLED\r\nDTSTART;VALUE=DATE:20261224",
        "SUMMARY:weekly\r\nDTSTART:20261225T100000Z\r\nDTEND:20261225T110000Z\r\nRRULE:FREQ=WEEKLY;COUNT=2\r\n"
        "EXDATE:20261225T100000Z",
    )
    assert set(CalendarFiles().spans(file, "UTC", DAY)) == {
        Span(utc(2026, 12, 24), utc(2026, 12, 25), "every year"),
        Span(utc(2027, 1, 1, 10), utc(2027, 1, 1, 11), "weekly"),
    }


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"x" * (MOST_BYTES + 1), "it has 1000001 bytes, more than the 1000000 that are read"),
        (ics(*["DTSTART:20261224T120000Z"] * 2001), "it has 2001 events, more than the 2000 that are read"),
        (
            ics("DTSTART:20200101T000000Z\r\nRRULE:FREQ=SECONDLY"),
            "it is no iCalendar file: an event comes secondly; daily is the most that is read",
        ),
    ],
    ids=["long", "many", "often"],
)
def test_what_is_too_much_is_refused_at_once(content: bytes, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        CalendarFiles().spans(content, "UTC", DAY)
    assert caught.value.message == problem


def test_rules_that_never_come_true_do_not_hang_and_are_not_tried_again() -> None:
    """Each of these rules is looked for through eight thousand years, day by day."""
    never = "DTSTART:20260105T000000Z\r\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"
    calendars, file = CalendarFiles(), ics(*[never] * 50)
    with pytest.raises(ConfigurationError, match="it takes too long to read"):
        calendars.spans(file, "UTC", DAY)
    began = time.monotonic()
    with pytest.raises(ConfigurationError, match="it takes too long to read"):
        calendars.spans(file, "UTC", DAY)
    assert time.monotonic() - began < 1
