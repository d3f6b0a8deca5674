"""Which phase may follow which, and whose turn it is in a lane."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from delivery.actor import SHIPLINE
from delivery.artifact import Digest
from delivery.promotion import BEFORE_ROLLOUT, FINAL, Kind, Phase, Promotion, has_turn, may_follow, next_in_lane

SOME = Digest("sha256:" + "0" * 64)


def promotion(sequence: int, phase: Phase, *, rolled_back_by: str | None = None) -> Promotion:
    made = Promotion(
        id=f"p{sequence}",
        project="shop",
        environment="dev",
        kind=Kind.CHANGE,
        phase=phase,
        because="",
        release=SOME,
        candidate=SOME,
        configuration=SOME,
        policy_version=1,
        configuration_revision="c",
        requested_at=datetime(2026, 1, 1, tzinfo=UTC),
        requested_by=SHIPLINE,
        sequence=sequence,
    )
    return replace(made, rolled_back_by=rolled_back_by)


def turn(*promotions: Promotion) -> str | None:
    found = next_in_lane(promotions)
    return found.id if found else None


@pytest.mark.parametrize("phase", sorted(FINAL - {Phase.ERRORED}))
def test_nothing_follows_a_final_phase(phase: Phase) -> None:
    assert [then for then in Phase if may_follow(phase, then)] == [phase]


@pytest.mark.parametrize("phase", [Phase.ROLLING_OUT, Phase.VERIFYING, Phase.ROLLING_BACK])
def test_what_has_begun_to_roll_out_can_no_longer_be_refused(phase: Phase) -> None:
    assert not any(may_follow(phase, then) for then in (Phase.REFUSED, Phase.SUPERSEDED, Phase.ABORTED))


@pytest.mark.parametrize("phase", sorted(BEFORE_ROLLOUT))
def test_before_the_rollout_a_promotion_can_always_be_refused(phase: Phase) -> None:
    assert may_follow(phase, Phase.REFUSED)


@pytest.mark.parametrize("phase", sorted(set(Phase) - FINAL))
def test_anything_unfinished_may_become_errored(phase: Phase) -> None:
    assert may_follow(phase, Phase.ERRORED)


def test_promotions_go_in_order_of_request() -> None:
    assert turn(promotion(7, Phase.REQUESTED), promotion(3, Phase.QUEUED)) == "p3"


def test_one_under_way_keeps_the_lane() -> None:
    assert turn(promotion(1, Phase.REQUESTED), promotion(9, Phase.VERIFYING)) == "p9"


def test_waiting_ones_hold_nothing() -> None:
    assert turn(promotion(1, Phase.WAITING)) is None
    assert turn(promotion(1, Phase.WAITING), promotion(2, Phase.REQUESTED)) == "p2"


def test_a_rollback_comes_before_what_it_undoes_and_before_everything_queued() -> None:
    failed = promotion(1, Phase.ROLLING_BACK, rolled_back_by="p5")
    assert turn(failed, promotion(2, Phase.REQUESTED), promotion(5, Phase.REQUESTED)) == "p5"


def test_what_was_undone_is_settled_once_its_rollback_has_ended() -> None:
    failed = promotion(1, Phase.ROLLING_BACK, rolled_back_by="p5")
    assert turn(failed, promotion(2, Phase.REQUESTED), promotion(5, Phase.SUCCEEDED)) == "p1"


def test_of_a_chain_of_rollbacks_the_last_one_has_the_turn_until_it_ends() -> None:
    first = promotion(1, Phase.ROLLING_BACK, rolled_back_by="p5")
    second = promotion(5, Phase.ROLLING_BACK, rolled_back_by="p6")
    queued = promotion(2, Phase.REQUESTED)
    assert turn(first, queued, second, promotion(6, Phase.REQUESTED)) == "p6"
    assert turn(first, queued, second, promotion(6, Phase.FAILED)) == "p5"
    assert turn(first, queued, promotion(5, Phase.FAILED)) == "p1"


def test_a_rollback_that_waits_keeps_the_lane_and_is_not_started_again_and_again() -> None:
    failed = promotion(1, Phase.ROLLING_BACK, rolled_back_by="p5")
    assert turn(failed, promotion(2, Phase.REQUESTED), promotion(5, Phase.WAITING)) is None


def test_only_who_has_the_turn_may_be_worked_on() -> None:
    waiting, requested, later = (
        promotion(1, Phase.WAITING),
        promotion(2, Phase.REQUESTED),
        promotion(3, Phase.REQUESTED),
    )
    assert [has_turn(one, [waiting, requested, later]) for one in (waiting, requested, later)] == [True, True, False]

    judging = promotion(9, Phase.JUDGING)
    assert [has_turn(one, [waiting, requested, judging]) for one in (waiting, requested, judging)] == [
        False,
        False,
        True,
    ]

    failed, rollback = promotion(1, Phase.ROLLING_BACK, rolled_back_by="p5"), promotion(5, Phase.WAITING)
    assert [has_turn(one, [failed, requested, rollback]) for one in (failed, requested, rollback)] == [
        False,
        False,
        True,
    ]


def test_an_empty_lane_has_no_turn() -> None:
    assert turn() is None
