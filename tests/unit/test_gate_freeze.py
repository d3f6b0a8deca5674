"""Freeze windows: what they say, and when they hold."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.actor import SHIPLINE, Actor
from delivery.config_gates import Freeze
from delivery.cron import require_cron
from delivery.errors import ConfigurationError
from delivery.freezing import Span, cron_stretch, dated_span, stretch, zone
from delivery.gates.freeze import Frozen, require_not_frozen
from delivery.gates.verdict import Verdict
from delivery.promotion import Kind

PERSON = Actor("person", "ada")
ENDS = datetime(2027, 1, 4, tzinfo=UTC)


def window(**said: object) -> Freeze:
    return Freeze.model_validate({"name": "w", **said}, strict=True)


def utc(*parts: int) -> datetime:
    year, month, day, *rest = parts
    return datetime(year, month, day, *rest, tzinfo=UTC)  # type: ignore[arg-type,misc]  # hours and minutes


def test_a_window_holds_everything_back_until_it_ends() -> None:
    verdict = require_not_frozen([Frozen("holidays", ENDS, summary="Christmas")], PERSON, Kind.CHANGE)
    assert verdict == Verdict(
        "not frozen",
        ("frozen by 'holidays' (Christmas) until 2027-01-04T00:00:00Z",),
        waiting=True,
        until=ENDS,
        unblocked_by="time",
    )
    assert require_not_frozen([], PERSON, Kind.CHANGE).passed


def test_the_kinds_that_a_window_allows_pass() -> None:
    held = [Frozen("weekend", ENDS, frozenset({"hotfix", "rollback"}))]
    assert require_not_frozen(held, PERSON, Kind.HOTFIX).passed
    assert require_not_frozen(held, PERSON, Kind.ROLLBACK).passed
    verdict = require_not_frozen(held, PERSON, Kind.CHANGE)
    assert verdict.unblocked_by == "time; a hotfix or rollback passes"
    strict = Frozen("audit", ENDS - timedelta(days=1))
    assert require_not_frozen([*held, strict], PERSON, Kind.HOTFIX).until == strict.ends
    assert require_not_frozen([*held, strict], PERSON, Kind.CHANGE).until == ENDS


def test_the_way_back_of_a_failed_rollout_always_passes() -> None:
    held = [Frozen("audit", ENDS)]
    assert require_not_frozen(held, SHIPLINE, Kind.ROLLBACK).passed
    assert not require_not_frozen(held, PERSON, Kind.ROLLBACK).passed
    assert not require_not_frozen(held, SHIPLINE, Kind.CHANGE).passed


def test_what_cannot_be_read_holds_until_somebody_mends_it() -> None:
    broken = Frozen("holidays", problem="reading x.ics: it is no iCalendar file")
    assert require_not_frozen([broken, Frozen("audit", ENDS)], PERSON, Kind.CHANGE) == Verdict(
        "not frozen", ("freeze 'holidays': reading x.ics: it is no iCalendar file",)
    )
    busy = require_not_frozen([Frozen("holidays", problem="too busy", passing=True)], PERSON, Kind.CHANGE)
    assert (busy.waiting, busy.until, busy.reasons) == (True, None, ("freeze 'holidays': too busy",))


@pytest.mark.parametrize(
    ("said", "begins", "ends"),
    [
        ({"from": "2026-12-24", "until": "2026-12-26"}, utc(2026, 12, 24), utc(2026, 12, 27)),
        (
            {"from": "2026-12-24T17:00", "until": "2026-12-27T08:30:15"},
            utc(2026, 12, 24, 17),
            utc(2026, 12, 27, 8, 30, 15),
        ),
        (
            {"from": "2026-12-24", "until": "2026-12-24", "time_zone": "Europe/Berlin"},
            utc(2026, 12, 23, 23),
            utc(2026, 12, 24, 23),
        ),
        (
            {"from": "2026-07-01", "until": "2026-07-01", "time_zone": "Pacific/Auckland"},
            utc(2026, 6, 30, 12),
            utc(2026, 7, 1, 12),
        ),
    ],
)
def test_dates_are_whole_days_as_clocks_show_them_there(said: dict[str, str], begins: datetime, ends: datetime) -> None:
    assert dated_span(window(**said)) == Span(begins, ends)


def test_a_time_that_clocks_show_twice_or_never_is_read_so_that_the_window_is_longer() -> None:
    """In Berlin 02:30 came twice on 25 October 2026 and never on 29 March 2026."""
    berlin = {"time_zone": "Europe/Berlin"}
    twice = dated_span(window(**{"from": "2026-10-25T02:30", "until": "2026-10-25T02:30:01"}, **berlin))
    assert twice == Span(utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 1, 30, 1))
    never = dated_span(window(**{"from": "2026-03-29T02:30", "until": "2026-03-29T02:31"}, **berlin))
    assert never == Span(utc(2026, 3, 29, 0, 30), utc(2026, 3, 29, 1, 31))


def test_a_day_on_which_clocks_change_is_23_or_25_hours_long() -> None:
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25)):
        span = dated_span(window(**{"from": day, "until": day}, time_zone="Europe/Berlin"))
        assert span.ends - span.begins == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"from": "tomorrow", "until": "2026-12-26"}, "'tomorrow' is neither a date nor a date and time"),
        ({"from": "2026-12-24", "until": "2026-02-30"}, "'2026-02-30' is neither a date nor a date and time"),
        ({"from": "2026-12-24", "until": "2026-12-01"}, "it ends (2026-12-01) before it begins (2026-12-24)"),
        ({"from": "9999-12-31", "until": "9999-12-31"}, "'9999-12-31' is neither a date nor a date and time"),
        (
            {"from": "2026-12-24T10:00Z", "until": "2027-01-01"},
            "'2026-12-24T10:00Z' is neither a date nor a date and time",
        ),
    ],
)
def test_what_is_no_window_is_refused_with_the_reason(said: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        dated_span(window(**said))
    assert caught.value.message == message


@pytest.mark.parametrize("name", ["Europe/Bärlin", "../../etc/passwd", "/etc/passwd", "Europe", ""])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        zone(name)
    assert caught.value.message == f"'{name}' is not a time zone"


FRIDAY = {"cron": "0 17 * * 5", "for_seconds": 62 * 3600.0, "time_zone": "Europe/Berlin"}
"""From Friday 17:00 for 62 hours: until Monday 7:00, unless clocks change."""


def test_a_cron_window_holds_from_each_time_on() -> None:
    weekend = window(**FRIDAY)
    span = Span(utc(2026, 11, 27, 16), utc(2026, 11, 30, 6))
    assert cron_stretch(weekend, utc(2026, 11, 27, 15, 59)) is None
    assert cron_stretch(weekend, utc(2026, 11, 27, 16)) == span
    assert cron_stretch(weekend, utc(2026, 11, 30, 5, 59)) == span
    assert cron_stretch(weekend, utc(2026, 11, 30, 6)) is None


def test_a_cron_window_lasts_as_long_as_it_says_when_clocks_change() -> None:
    """17:00 in Berlin on Friday before the change; 62 hours later clocks show 6:00, not 7:00."""
    span = cron_stretch(window(**FRIDAY), utc(2026, 10, 24))
    assert span == Span(utc(2026, 10, 23, 15), utc(2026, 10, 26, 5))


def test_windows_that_touch_are_one() -> None:
    nightly = window(cron="0 20 * * *", for_seconds=86_400.0)
    span = cron_stretch(nightly, utc(2026, 11, 22, 12))
    assert span is not None
    assert span.begins == utc(2026, 11, 21, 20)
    assert span.ends > utc(2027, 11, 22), "it never ends, and nobody counts for ever"


@given(st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)))  # noqa: DTZ001  # made aware below
def test_a_cron_window_holds_exactly_when_a_time_of_it_has_just_come(moment: datetime) -> None:
    """Against a second way to find out: look at every Friday there is."""
    now, berlin = moment.replace(tzinfo=UTC), zone("Europe/Berlin")
    held = cron_stretch(window(**FRIDAY), now)
    days = (datetime(2025, 12, 26, 17, tzinfo=berlin) + timedelta(weeks=week) for week in range(110))
    begun = [one.astimezone(UTC) for one in days if one.astimezone(UTC) <= now]
    assert (held is not None) == (begun[-1] + timedelta(hours=62) > now)


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001  # made aware below
    st.sampled_from(["30 2 * * *", "*/7 * * * *", "0 0 29 2 *", "15 3 1 1 *", "0 * * * 1-5"]),
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "UTC"]),
    st.floats(1, 7 * 86_400),
)
def test_a_cron_window_that_holds_contains_the_moment_whatever_clocks_do(
    moment: datetime, cron: str, zone_name: str, seconds: float
) -> None:
    now = moment.replace(tzinfo=UTC)
    held = cron_stretch(window(cron=cron, for_seconds=seconds, time_zone=zone_name), now)
    assert held is None or held.begins <= now < held.ends


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 17 * *", "cron '0 17 * *' has 4 fields"),
        ("0 0 17 * * 5", "cron '0 0 17 * * 5' has 6 fields"),
        ("61 * * * *", "cron '61 * * * *': bad minute"),
        ("0 0 30 2 *", "cron '0 0 30 2 *': bad day-of-month"),
    ],
)
def test_what_is_no_cron_expression_or_never_comes_is_refused(expression: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        require_cron(expression)
    assert caught.value.message == message


def test_events_that_touch_are_one_stretch() -> None:
    eve, day, later = (Span(utc(2026, 12, day), utc(2026, 12, day + 1), f"{day}") for day in (24, 25, 27))
    assert stretch([later, day, eve], utc(2026, 12, 24, 12)) == Span(utc(2026, 12, 24), utc(2026, 12, 26), "24")
    assert stretch([later, day, eve], utc(2026, 12, 26)) is None
