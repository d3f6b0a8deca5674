"""The order in which what waits is served, and how much of it at once."""

from datetime import UTC, datetime, timedelta

import pytest

from delivery.queue import Priority, Queued, Slots, in_order, next_up, priority_of

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def waiting(subject: str, project: str = "shop", priority: Priority = Priority.RUN, after: float = 0) -> Queued:
    return Queued(subject, "attempt 1", project, priority, NOON + timedelta(seconds=after))


def names(queued: list[Queued]) -> str:
    return " ".join(one.subject for one in queued)


def test_production_comes_before_staging_before_development_before_runs_whoever_came_first() -> None:
    asked = [waiting(one.name.lower(), priority=one, after=-one) for one in reversed(Priority)]
    assert names(in_order(asked, [])) == "production staging testing development run"


@pytest.mark.parametrize("tier", ["production", "staging", "testing", "development"])
def test_every_tier_has_its_priority(tier: str) -> None:
    assert priority_of(tier).name.lower() == tier  # type: ignore[arg-type]  # one of them


def test_one_projects_many_runs_do_not_hold_up_anothers_first() -> None:
    many = [waiting(f"a{number}", "a", after=number) for number in range(4)]
    few = [waiting(f"b{number}", "b", after=100 + number) for number in range(2)]
    assert names(in_order([*many, *few], [])) == "a0 b0 a1 b1 a2 a3"


def test_a_project_that_is_at_work_already_comes_after_one_that_is_not() -> None:
    working = [waiting("a-old", "a"), waiting("a-older", "a"), waiting("b-old", "b")]
    asked = [waiting("a", "a"), waiting("b", "b", after=1), waiting("c", "c", after=2)]
    assert names(in_order(asked, working)) == "c b a"


def test_within_a_project_the_oldest_request_comes_first() -> None:
    assert names(in_order([waiting("late", after=1), waiting("early")], [])) == "early late"


def test_only_as_many_are_started_as_there_are_free_slots() -> None:
    working = [waiting("at work")]
    asked = [waiting(f"{number}", after=number) for number in range(5)]
    assert names(next_up(asked, working, Slots(runs=3, promotions=3))) == "0 1"


def test_runs_never_take_a_promotions_slot_nor_the_other_way_round() -> None:
    working = [waiting(f"run {number}") for number in range(2)]
    asked = [waiting("run"), *(waiting(f"p{number}", priority=Priority.STAGING, after=number) for number in range(3))]
    assert names(next_up(asked, working, Slots(runs=2, promotions=2))) == "p0 p1"


def test_more_at_work_than_slots_starts_nothing() -> None:
    working = [waiting(f"{number}") for number in range(3)]
    assert next_up([waiting("next")], working, Slots(runs=2, promotions=1)) == []
