"""Test a revision: execute the steps of a run's plan, in parallel as the graph allows, the critical path first.

Every step is a task with a readable name. A reused one shows as Cached, a failed test as Failed, and
what could not be found out as Errored. Nothing is decided here: the plan says what happens.
"""

import asyncio
import os
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from typing import cast

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from delivery.errors import DefectError
from delivery.plan import PlannedStep
from delivery.running.steps import broken, lost, perform, remember_durations, tell, verdict, without_running
from delivery.running.work import RunWork
from delivery.step import StepResult, StepState
from delivery.step_durations import ways_to_go
from flows.acting import act
from flows.run_log import told_in_prefect
from flows.run_report import report_steps
from flows.states import state_of_run, state_of_step
from flows.step_slots import StepSlots
from flows.works import work_of

PARALLEL_STEPS = max(2, os.cpu_count() or 2)
STOPS_ALL = frozenset({StepState.FAILED, StepState.ERRORED})


@flow(name="test-revision", flow_run_name="test {run}", persist_result=False)
async def test_revision(run: str) -> State[None]:
    """Execute the plan's steps and judge them as a whole."""
    work, slots = work_of(run), StepSlots(PARALLEL_STEPS)
    to_go = ways_to_go(work.plan.steps, work.expected)
    going: dict[str, asyncio.Task[StepResult]] = {}
    for planned in work.plan.steps:
        needs = [going[name] for name in planned.needs if name in going]
        slot = slots.taken(to_go[planned.id])
        going[planned.id] = asyncio.create_task(when_ready(work, planned, needs, slot))
    await asyncio.gather(*going.values())
    results = {name: done.result() for name, done in going.items()}
    await asyncio.to_thread(remember_durations, work)
    await report_steps(work, results)
    return state_of_run(*verdict(work.plan.steps, results))


async def when_ready(
    work: RunWork,
    planned: PlannedStep,
    needs: list[asyncio.Task[StepResult]],
    slot: AbstractAsyncContextManager[None],
) -> StepResult:
    """Wait for what the step needs, then skip it or execute it as a task."""
    needed = await asyncio.gather(*needs)
    async with slot:
        idle = without_running(planned, needed, stopped=work.cancelled.is_set())
        if idle:
            work.results[planned.id] = await asyncio.to_thread(tell, work, planned, idle)
            return idle
        await cast("Awaitable[object]", execute(work.run.id, planned.id, return_state=True))
        if planned.id not in work.results:
            work.results[planned.id] = await asyncio.to_thread(tell, work, planned, lost(planned))
        result = work.results[planned.id]
        if work.plan.fail_fast and result.state in STOPS_ALL:
            work.cancelled.set()
        return result


@task(task_run_name="{step}", cache_policy=NO_CACHE)
async def execute(run: str, step: str) -> State[None]:
    """One step of the plan, in a checkout of its own."""
    work = work_of(run)
    planned = next(one for one in work.plan.steps if one.id == step)
    needs = [work.results[name] for name in planned.needs if name in work.results]
    try:
        work.results[step] = await act(perform, work, planned, needs, told_in_prefect())
    except DefectError as error:
        work.results[step] = await asyncio.to_thread(tell, work, planned, broken(planned, error.message))
    return state_of_step(work.results[step])
