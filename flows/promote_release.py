"""Promote a release into one environment: one pass over a promotion that the ledger keeps.

Everything before the suspend may run twice. A pass that is begun again (after an approval, a crash, a
restart of anything) reads where the promotion stands and does the next thing; each step does nothing
when the promotion stands elsewhere. A pass that lost its lane's lease changes nothing: its appends are
guarded by the lease and its effects fenced by it.
"""

import asyncio
from typing import Any, cast

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.flow_runs import suspend_flow_run
from prefect.runtime import flow_run
from prefect.states import Completed

from delivery.adapters.embedded import connected_here
from delivery.connections import Connections
from delivery.errors import DefectError, DeliveryError, StaleFenceError
from delivery.leases import kept
from delivery.promoting import approving, closing, passing, stopping
from delivery.promoting.deciding import Answer, decide_by_form
from delivery.promoting.judging import Judgement, judge
from delivery.promoting.turn import Turn, log_of, read_promotion, take_turn
from delivery.promotion import Phase, Promotion
from flows.acting import act
from flows.approval_form import ApprovalForm
from flows.run_log import told_in
from flows.states import state_of
from flows.steps import step

EXPIRY_MARGIN_SECONDS = 3600
"""Prefect's own timeout comes after ours, which ends Refused instead of Failed."""


@flow(name="promote-release", flow_run_name="{promotion}", persist_result=False)
async def promote_release(promotion: str) -> State[None]:
    """Judge a promotion's gates, wait for people, roll out, verify and watch it, or roll it back."""
    connections = await asyncio.to_thread(connected_here)
    try:
        await hear_answer(connections, promotion)
        turn = await act(take_turn, connections, promotion)
        return await one_pass(turn) if turn else await act(left, connections, promotion)
    except DefectError as error:
        found = await asyncio.to_thread(read_promotion, connections, promotion)
        await asyncio.to_thread(stopping.give_up, connections, found, error.message)
        return state_of(await asyncio.to_thread(read_promotion, connections, promotion))


async def one_pass(turn: Turn) -> State[None]:
    """Work on it while its lane's lease is kept; what cannot be found out ends it Errored."""
    with kept(turn.connections.operations, turn.lease, turn.connections.pace.lease):
        try:
            turn = await work(turn)
        except StaleFenceError as error:
            return Completed(name="Stale", message=f"left to a newer pass: {error.message}")
        except DeliveryError as error:
            turn = await asyncio.to_thread(closing.end, turn.again(), Phase.ERRORED, error.message)
        return state_of(turn.promotion)


def left(connections: Connections, promotion: str) -> State[None]:
    """The state of a pass that had nothing to do: the promotion is done, or its lane is in use."""
    found = read_promotion(connections, promotion)
    return state_of(found) if found.phase.final else Completed(name="Left", message="the lane is in use")


async def work(turn: Turn) -> Turn:
    """Every step of a promotion's life, from wherever it stands."""
    turn = await act(passing.begin, turn)
    judgement = await judge_gates(turn)
    if judgement.asks_a_person:
        turn = await wait_for_person(turn, judgement)
        await ask_person(turn.connections, turn.promotion)
    turn = await act(passing.follow, turn, judgement)
    turn = await start_new_side(turn)
    turn = await shift_traffic(turn)
    turn = await run_smoke_suite(turn)
    turn = await watch_release(turn)
    return await retire_old_side(turn)


async def hear_answer(connections: Connections, promotion: str) -> None:
    """Write what a person answered on this flow run's form into the ledger, also while the lane is in use.

    A recheck is only a wake-up, and so is a decision that comes too late or twice.
    """
    asked = await act(read_promotion, connections, promotion)
    if not approving.was_asked(asked, str(flow_run.id)):
        return
    answer = await ask_person(connections, asked)
    if answer.decision != "recheck":
        given = Answer(answer.decision, answer.approver or "somebody", answer.comment, answer.code)
        told_in(log_of(connections, promotion))(await record_answer(connections, asked, given))


async def ask_person(connections: Connections, promotion: Promotion) -> ApprovalForm:
    """Show the form and leave; the flow begins again from the top when somebody answers."""
    page = await act(approving.approval_page, connections, promotion)
    form = cast("Any", ApprovalForm.with_initial_data(description=page))  # it is typed as awaitable
    answer: ApprovalForm = await suspend_flow_run(
        wait_for_input=form,
        timeout=approving.seconds_left(promotion, connections.clock.now()) + EXPIRY_MARGIN_SECONDS,
        key=approving.form_key(promotion),
    )
    return answer


@step("record answer")
async def record_answer(connections: Connections, promotion: Promotion, answer: Answer) -> str:
    """Record a decision, or say why it does not count."""
    verdict = await act(decide_by_form, connections, promotion, answer)
    said = f"{answer.decision} by {answer.approver}"
    return f"{said} does not count: {'; '.join(verdict.reasons)}" if verdict.reasons else said


async def wait_for_person(turn: Turn, judgement: Judgement) -> Turn:
    """Tell the ledger what is missing, and which flow run shows the form."""
    because = "; ".join(judgement.waits)
    return await act(approving.wait_for_person, turn, because, str(flow_run.id))


@step("judge gates")
async def judge_gates(turn: Turn) -> Judgement:
    """Ask every gate, unless the promotion is past them."""
    if not passing.judging(turn):
        return Judgement(())
    return await act(judge, turn.connections, turn.promotion)


@step("start new side")
async def start_new_side(turn: Turn) -> Turn:
    """Start the release beside what runs and wait until it is healthy."""
    return await act(passing.start_new_side, turn, told_in(turn.log))


@step("shift traffic")
async def shift_traffic(turn: Turn) -> Turn:
    """Give the new side all traffic."""
    return await act(passing.shift_traffic, turn)


@step("run smoke suite")
async def run_smoke_suite(turn: Turn) -> Turn:
    """Ask the environment's smoke suite; roll back when it does not pass."""
    return await act(passing.run_smoke_suite, turn, told_in(turn.log))


@step("watch release")
async def watch_release(turn: Turn) -> Turn:
    """Watch the release until its window closes; roll back when it falls ill."""
    return await act(passing.watch_release, turn, told_in(turn.log))


@step("retire old side")
async def retire_old_side(turn: Turn) -> Turn:
    """Stop what ran before, and close the promotion."""
    return await act(passing.retire_old_side, turn)
