"""What to expect of steps, and which to begin with."""

import asyncio

import pytest

from delivery.artifact import Digest
from delivery.plan import Action, PlannedStep
from delivery.step_durations import expected_next, ways_to_go
from flows.step_slots import StepSlots


def step(name: str, *needs: str, action: Action = Action.RUN) -> PlannedStep:
    return PlannedStep(name, None, action, (), needs, Digest("sha256:" + "0" * 64))


def test_the_first_time_is_what_is_expected_of_the_second() -> None:
    assert expected_next(None, 8.0) == 8.0


def test_what_is_expected_follows_what_steps_take() -> None:
    assert [expected_next(8.0, 8.0), expected_next(8.0, 4.0), expected_next(8.0, 12.0)] == [8.0, 6.0, 10.0]


def test_the_critical_path_has_the_longest_way_to_go() -> None:
    steps = [step("lint"), step("compile"), step("unit", "compile"), step("pack", "unit", "lint")]
    expected = {"lint": 5.0, "compile": 3.0, "unit": 20.0, "pack": 2.0}
    assert ways_to_go(steps, expected) == {"lint": 7.0, "compile": 25.0, "unit": 22.0, "pack": 2.0}


def test_what_is_not_executed_takes_no_time_and_what_nobody_remembers_a_second() -> None:
    steps = [step("known", action=Action.REUSE), step("new", "known")]
    assert ways_to_go(steps, {"known": 60.0}) == {"known": 1.0, "new": 1.0}


async def begin(slots: StepSlots, name: str, to_go: float, begun: list[str]) -> None:
    async with slots.taken(to_go):
        begun.append(name)
        await asyncio.sleep(0)


def test_of_those_that_wait_the_longest_way_comes_first() -> None:
    async def scene() -> list[str]:
        slots, begun = StepSlots(1), list[str]()
        async with asyncio.TaskGroup() as tasks:
            for name, to_go in (("first", 1), ("short", 2), ("long", 9), ("equal", 9)):
                tasks.create_task(begin(slots, name, to_go, begun))
        return begun

    assert asyncio.run(scene()) == ["first", "long", "equal", "short"]


@pytest.mark.parametrize("cancelled", [0, 1])
def test_a_step_that_is_cancelled_gives_its_slot_to_the_next(cancelled: int) -> None:
    async def scene() -> list[str]:
        slots, begun = StepSlots(1), list[str]()
        tasks = [asyncio.create_task(begin(slots, str(number), 1, begun)) for number in range(3)]
        await asyncio.sleep(0)
        tasks[cancelled].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return begun

    assert asyncio.run(scene())[-1] == "2"


def test_no_more_than_the_slots_are_at_work() -> None:
    async def scene() -> int:
        slots, at_work, most = StepSlots(3), 0, 0

        async def work() -> None:
            nonlocal at_work, most
            async with slots.taken(1.0):
                at_work += 1
                most = max(most, at_work)
                await asyncio.sleep(0.001)
                at_work -= 1

        await asyncio.gather(*(work() for _ in range(12)))
        return most

    assert asyncio.run(scene()) == 3
