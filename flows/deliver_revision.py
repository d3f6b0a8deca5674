"""Deliver a revision: test it, build its release, and ask for its first promotions.

A run that is begun again (after a crash or a restart) does everything again, which is nearly nothing:
finished steps are reused by key, artifacts by build key, and requests are made once by their id.
"""

import asyncio

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from delivery.adapters.embedded import connected_here
from delivery.errors import DefectError, DeliveryError, StaleFenceError
from delivery.leases import kept
from delivery.run import Run, RunState
from delivery.running.releasing import ended_by, finish, give_up, make_release, record, request_first
from delivery.running.steps import verdict
from delivery.running.work import RunWork, take_run
from flows.acting import act
from flows.build_release import build_release
from flows.states import state_of_run
from flows.test_revision import test_revision
from flows.works import close_work, open_work


@flow(name="deliver-revision", flow_run_name="run {run}", persist_result=False)
async def deliver_revision(run: str) -> State[None]:
    """Take a run's revision as far as it may go without a person."""
    connections = await asyncio.to_thread(connected_here)
    try:
        work = await act(take_run, connections, run, str(flow_run.id))
    except DefectError as error:
        await asyncio.to_thread(give_up, connections, run, error.message)
        return state_of_run(RunState.ERRORED, error.message)
    if work is None:
        return Completed(name="Left", message="it is done, or another process works on it")
    open_work(work)
    try:
        with kept(connections.operations, work.lease, connections.pace.lease, work.look_for_abort, work.cancelled):
            ended = await deliver(work)
    except StaleFenceError as error:
        return Completed(name="Stale", message=f"left to a newer pass: {error.message}")
    finally:
        await asyncio.to_thread(close_work, run)
    return state_of_run(ended.state, ended.problem)


async def deliver(work: RunWork) -> Run:
    """Test, build, request; however it ends is kept."""
    try:
        await test_revision(work.run.id, return_state=True)
        state, problem = verdict(work.plan.steps, work.results)
        if state is RunState.COMPLETED and not work.run.partial:
            await release(work)
    except (DeliveryError, OSError) as error:
        state, problem = ended_by(error, cancelled=work.cancelled.is_set())
    return await act(finish, work, state, problem)


async def release(work: RunWork) -> None:
    """Build what the services need and ask for promotions; a revision without services is only told of."""
    if work.plan.services:
        await build_release(work.run.id)
        await act(request_promotions, work)
    else:
        await act(record, work, None)


def request_promotions(work: RunWork) -> None:
    """Ask for the environments that nothing comes before."""
    made = make_release(work, work.built)
    if made:
        request_first(work, made)
