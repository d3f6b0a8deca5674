"""Gates say no, wait or pass, each with a sentence that an operator reads."""

from datetime import UTC, datetime

import pytest

from delivery.actor import SHIPLINE, Actor
from delivery.artifact import Digest
from delivery.gates.clean import require_clean, require_not_bad
from delivery.gates.hold import require_not_held
from delivery.gates.newer import ServiceLine, require_newer
from delivery.gates.upstream import require_verified_before
from delivery.gates.verdict import Verdict, refusals, waits
from delivery.promotion import Kind

RELEASE = Digest("sha256:" + "ab" * 32)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PERSON = Actor("person", "ada")


def test_a_rollback_goes_only_to_what_was_verified_there() -> None:
    verdict = require_verified_before(RELEASE, "production", verified=False, kind=Kind.ROLLBACK)
    assert verdict.reasons == ("release abababababab was never verified in production",)
    assert require_verified_before(RELEASE, "production", verified=False, kind=Kind.CHANGE).passed


def test_no_automation_promotes_what_is_bad_but_a_person_may_insist() -> None:
    assert require_not_bad([RELEASE], SHIPLINE).reasons == ("abababababab is marked bad",)
    assert require_not_bad([RELEASE], PERSON).passed
    assert require_not_bad([], SHIPLINE).passed


def test_a_held_environment_makes_automation_wait_and_lets_people_through() -> None:
    verdict = require_not_held("production", "the sale is on", SHIPLINE, Kind.CHANGE)
    assert verdict.reasons == ("production is on hold: the sale is on",)
    assert verdict.waiting
    assert verdict.unblocked_by == "a person: shipline unhold production"
    assert require_not_held("production", "the sale is on", PERSON, Kind.CHANGE).passed
    assert require_not_held("production", None, SHIPLINE, Kind.CHANGE).passed


def test_a_hold_does_not_keep_users_on_a_release_that_failed() -> None:
    assert require_not_held("production", "the sale is on", SHIPLINE, Kind.ROLLBACK).passed


def test_uncommitted_changes_stay_in_development() -> None:
    assert require_clean("development", dirty=True).passed
    assert require_clean("production", dirty=False).passed
    assert not require_clean("staging", dirty=True).passed


@pytest.mark.parametrize("relation", ["first", "same", "newer"])
def test_what_goes_on_from_what_runs_is_newer(relation: str) -> None:
    assert require_newer([ServiceLine("web", relation)], Kind.CHANGE, replace=False, insist="").passed


def test_an_older_release_may_not_overwrite_a_newer_one() -> None:
    relations = {"web": "older", "api": "unrelated", "db": "same", "jobs": "diverged"}
    lines = [ServiceLine(service, relation) for service, relation in relations.items()]
    assert require_newer(lines, Kind.CHANGE, replace=False, insist="insist").reasons == (
        "web: what runs is newer; use rollback to go back",
        "api: what runs is of an unrelated line of history; replace it with: insist",
        "jobs: what runs has diverged from it, neither contains the other; replace it with: insist",
    )
    assert require_newer(lines, Kind.ROLLBACK, replace=False, insist="insist").passed
    assert require_newer(lines, Kind.CHANGE, replace=True, insist="insist").passed


def test_refusals_and_waits_are_told_apart() -> None:
    verdicts = [Verdict("a"), Verdict("b", ("no",)), Verdict("c", ("later",), waiting=True)]
    assert refusals(verdicts) == ("no",)
    assert waits(verdicts) == ("later",)
