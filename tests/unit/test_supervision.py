"""Decisions about processes: pure, over what was seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.rollout import HealthState
from delivery.supervision import (
    Action,
    Situation,
    Vitals,
    crash_loops,
    judge,
    next_action,
    recent,
    start_again_at,
)

NOW = 1000.0


@pytest.mark.parametrize(
    ("situation", "wanted", "action"),
    [
        (Situation(running=False), True, Action.START),
        (Situation(running=True), True, None),
        (Situation(running=False, exits=(NOW - 0.1,)), True, None),
        (Situation(running=False, exits=(NOW - 0.2,)), True, Action.START),
        (Situation(running=False), False, Action.FORGET),
        (Situation(running=True), False, Action.DRAIN),
        (Situation(running=True, draining_since=NOW - 1), False, None),
        (Situation(running=True, draining_since=NOW - 1, drained=True), False, Action.ASK),
        (Situation(running=True, draining_since=NOW - 10), False, Action.ASK),
        (Situation(running=True, draining_since=NOW - 11, asked_at=NOW - 9), False, None),
        (Situation(running=True, draining_since=NOW - 20, asked_at=NOW - 10), False, Action.KILL),
        (Situation(running=False, draining_since=NOW - 1), False, Action.FORGET),
        (Situation(running=True, draining_since=NOW - 1, drained=True), True, Action.ASK),
        (Situation(running=False, draining_since=NOW - 1), True, Action.FORGET),
    ],
)
def test_the_next_step_follows_from_what_is_seen(situation: Situation, *, wanted: bool, action: Action | None) -> None:
    assert next_action(situation, wanted=wanted, now=NOW) == action


def test_each_end_doubles_the_pause_up_to_half_a_minute() -> None:
    pauses = [start_again_at((NOW,) * ends) - NOW for ends in range(1, 12)]
    assert [round(pause, 1) for pause in pauses] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0]


@given(st.lists(st.floats(0, 2000), max_size=8).map(sorted).map(tuple), st.floats(0, 2000))
def test_a_crash_loop_is_three_ends_within_a_minute(exits: tuple[float, ...], now: float) -> None:
    assert crash_loops(exits, now) == (sum(now - at < 60 for at in exits) >= 3)
    assert set(recent(exits, now)) <= set(exits)


def vitals(**changes: object) -> Vitals:
    usual: dict[str, object] = {
        "running": True,
        "started_at": NOW - 5,
        "ready": True,
        "failed_looks": 0,
        "last_answer": "",
        "ending": "",
        "exits": (),
        "timeout_seconds": 30.0,
    }
    return Vitals(**{**usual, **changes})  # type: ignore[arg-type]


LATELY = (NOW - 3, NOW - 2, NOW - 1)


@pytest.mark.parametrize(
    ("seen", "health", "message"),
    [
        (vitals(), HealthState.HEALTHY, ""),
        (vitals(failed_looks=2, last_answer="503"), HealthState.HEALTHY, ""),
        (vitals(failed_looks=3, last_answer="503"), HealthState.DEGRADED, "health check failed 3 times: 503"),
        (vitals(ready=False, last_answer="refused"), HealthState.PROGRESSING, "refused"),
        (vitals(ready=False, started_at=NOW - 99, last_answer="none yet"), HealthState.PROGRESSING, "none yet"),
        (
            vitals(ready=False, started_at=NOW - 30, failed_looks=9, last_answer="refused"),
            HealthState.DEGRADED,
            "not healthy 30 s after its start: refused",
        ),
        (vitals(running=False), HealthState.DOWN, "not started yet"),
        (vitals(running=False, ending="exit 1", exits=(NOW,)), HealthState.DOWN, "not running: exit 1"),
        (
            vitals(running=False, ending="exit 1", exits=LATELY),
            HealthState.DOWN,
            "crash loop, ended 3 times within 60 s: exit 1",
        ),
        (
            vitals(ready=False, ending="exit 1", exits=LATELY),
            HealthState.DOWN,
            "crash loop, ended 3 times within 60 s: exit 1",
        ),
        (
            vitals(ending="exit 1", exits=LATELY),
            HealthState.DEGRADED,
            "crash loop, ended 3 times within 60 s: exit 1",
        ),
        (vitals(ending="exit 1", exits=(NOW - 90, NOW - 80, NOW - 70)), HealthState.HEALTHY, ""),
    ],
)
def test_health_and_its_reason_follow_from_what_is_seen(seen: Vitals, health: HealthState, message: str) -> None:
    assert judge(seen, NOW) == (health, message)
