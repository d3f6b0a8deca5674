"""Checks, incidents and quotas: what they refuse, what they wait for, and what lets them go."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from delivery.actor import SHIPLINE, Actor
from delivery.gates.checks import RequiredCheck, require_checks
from delivery.gates.incident import require_no_open_incident
from delivery.gates.quota import Allowance, require_quota
from delivery.gates.verdict import Verdict
from delivery.promotion import Kind

PERSON = Actor("person", "ada")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LOAD = "load-test"
REVISION = "--revision 4f3a2b1c4f3a"


def test_a_missing_result_is_waited_for_and_says_how_to_report_it() -> None:
    assert require_checks([RequiredCheck(LOAD, REVISION)], NOW, Kind.CHANGE) == Verdict(
        "checks",
        ("check 'load-test' has no result",),
        waiting=True,
        unblocked_by="its result: shipline check-result 'load-test' passed --revision 4f3a2b1c4f3a",
    )


def test_a_failed_result_refuses_whatever_else_is_missing() -> None:
    failed = RequiredCheck(LOAD, REVISION, passed=False, at=NOW, summary="p95 900 ms")
    assert require_checks([RequiredCheck("soc2", REVISION), failed], NOW, Kind.CHANGE) == Verdict(
        "checks", ("check 'load-test' failed: p95 900 ms",)
    )


def test_a_result_must_be_fresh_where_that_is_asked() -> None:
    passed = RequiredCheck(LOAD, REVISION, HOUR, passed=True, at=NOW)
    assert require_checks([passed], NOW + HOUR, Kind.CHANGE).passed
    old = require_checks([passed], NOW + HOUR + timedelta(seconds=1), Kind.CHANGE)
    assert (old.reasons, old.waiting) == (
        ("check 'load-test' passed at 2026-11-22T12:00:00Z, more than 3600 s ago",),
        True,
    )


def test_nothing_is_asked_of_a_rollback() -> None:
    assert require_checks([RequiredCheck(LOAD, REVISION, passed=False)], NOW, Kind.ROLLBACK).passed
    assert require_checks([], NOW, Kind.CHANGE) == Verdict("checks")


def test_automation_waits_while_an_incident_is_open_and_what_answers_it_passes() -> None:
    assert require_no_open_incident("production", ["i-1", "i-2"], SHIPLINE, Kind.CHANGE) == Verdict(
        "no open incident",
        ("incident i-1 is open in production", "incident i-2 is open in production"),
        waiting=True,
        unblocked_by="a person: shipline incident close i-1; a hotfix or rollback that is verified",
    )
    assert require_no_open_incident("production", ["i-1"], SHIPLINE, Kind.HOTFIX).passed
    assert require_no_open_incident("production", ["i-1"], SHIPLINE, Kind.ROLLBACK).passed
    assert require_no_open_incident("production", ["i-1"], PERSON, Kind.CHANGE).passed
    assert require_no_open_incident("production", [], SHIPLINE, Kind.CHANGE).passed


TWO_AN_HOUR = Allowance(2, HOUR)


def test_more_than_so_many_rollouts_wait_until_the_first_of_them_is_long_enough_ago() -> None:
    begun = [NOW - timedelta(minutes=50), NOW - timedelta(minutes=10), NOW - timedelta(hours=2)]
    assert require_quota("production", begun, TWO_AN_HOUR, NOW, Kind.CHANGE) == Verdict(
        "quota",
        ("2 rollouts began in production lately, at most 2 in 3600 s; the next may at 2026-11-22T12:10:00Z",),
        waiting=True,
        until=NOW + timedelta(minutes=10),
        unblocked_by="time; a hotfix or rollback passes",
    )
    assert require_quota("production", begun[1:], TWO_AN_HOUR, NOW, Kind.CHANGE).passed
    assert require_quota("production", begun, None, NOW, Kind.CHANGE).passed
    for kind in (Kind.HOTFIX, Kind.ROLLBACK):
        assert require_quota("production", begun, TWO_AN_HOUR, NOW, kind).passed


@given(st.lists(st.integers(0, 7200)), st.integers(1, 5))
def test_when_the_time_has_come_the_quota_lets_one_more_pass(seconds_ago: list[int], most: int) -> None:
    begun = [NOW - timedelta(seconds=one) for one in seconds_ago]
    allowance = Allowance(most, HOUR)
    verdict = require_quota("production", begun, allowance, NOW, Kind.CHANGE)
    assert verdict.passed == (sum(one < 3600 for one in seconds_ago) < most)
    if verdict.until:
        assert verdict.until > NOW
        assert require_quota("production", begun, allowance, verdict.until, Kind.CHANGE).passed
        before = verdict.until - timedelta(microseconds=1)
        assert not require_quota("production", begun, allowance, before, Kind.CHANGE).passed
