"""Steps of a run: each is skipped, reused or executed in a checkout of its own, and told as it stands."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from pydantic import JsonValue

from delivery.errors import DeliveryError
from delivery.ledger import utc_text
from delivery.plan import Action, PlannedStep
from delivery.ports import Row
from delivery.run import RunState
from delivery.running.given import isolation, variables
from delivery.running.sandbox import execute_in_sandbox
from delivery.running.work import RunWork
from delivery.step import StepResult, StepState
from delivery.step_durations import expected_next
from delivery.step_execution import StepOrder, execute_step, reuse_step
from delivery.step_graph import patterns_of

PASSED = frozenset({StepState.COMPLETED, StepState.CACHED, StepState.SKIPPED})


def without_running(planned: PlannedStep, needs: Sequence[StepResult], *, stopped: bool) -> StepResult | None:
    """The result of a step that is not executed at all; None when it is."""
    missed = [one for one in needs if one.state not in PASSED or one.blocked]
    if planned.action is Action.SKIP:
        return StepResult(planned.name, planned.service, StepState.SKIPPED, "; ".join(planned.because))
    if missed:
        named = ", ".join(f"{one.name} {one.state}" for one in missed)
        because = f"it needs what did not pass: {named}"
        return StepResult(planned.name, planned.service, StepState.SKIPPED, because, blocked=True)
    if stopped:
        return StepResult(planned.name, planned.service, StepState.CANCELLED, "the run was stopped before it")
    return None


def perform(
    work: RunWork, planned: PlannedStep, needs: Sequence[StepResult], show: Callable[[str], None]
) -> StepResult:
    """Reuse an earlier success, or execute the step; never raises for what happens to it."""
    connections, log = work.connections, work.logs / f"{planned.id}.log"
    may_reuse = planned.action is Action.REUSE or _finished_before(work, planned)
    tell(work, planned, StepResult(planned.name, planned.service, StepState.COMPLETED, log=log.name), running=True)
    if may_reuse:
        shares = work.plan.shares
        reused = reuse_step(planned, connections.store, connections.step_cache, log, shares=shares)
        if reused:
            return _shared(work, planned, tell(work, planned, reused), show)
    try:
        result = _execute(work, planned, needs, show)
    except (DeliveryError, OSError) as error:
        cause = error.message if isinstance(error, DeliveryError) else f"checking out: {error}"
        result = StepResult(planned.name, planned.service, StepState.ERRORED, cause)
    return _shared(work, planned, tell(work, planned, result), show)


def _shared(work: RunWork, planned: PlannedStep, result: StepResult, show: Callable[[str], None]) -> StepResult:
    """The result, which other installations may read too if the plan says so; trouble with that is only told."""
    shared, succeeded = work.connections.shared, result.state in {StepState.COMPLETED, StepState.CACHED}
    wanted = work.plan.shares and succeeded and work.configuration.steps[planned.name].reuse
    if shared and wanted and not shared.share(planned.key) and shared.asking.problem:
        show(f"warning: not shared with other installations: {shared.asking.problem}")
    return result


def _execute(
    work: RunWork, planned: PlannedStep, needs: Sequence[StepResult], show: Callable[[str], None]
) -> StepResult:
    """The result of the step in a checkout of its own, which in a sandbox holds only what it declares."""

    def execute(order: StepOrder) -> StepResult:
        return execute_step(order, work.connections.steps, secret_for(work, planned.id), work.cancelled, show)

    with work.checkouts.taken() as (folder, private):
        order = StepOrder(
            planned=planned,
            step=work.configuration.steps[planned.name],
            fixtures=work.configuration.fixtures,
            folder=folder,
            renew=work.checkouts.renew,
            private=private,
            log=work.logs / f"{planned.id}.log",
            variables=variables(work),
            isolation=isolation(work, folder, private),
            needs=needs,
            origin=_origin(work, planned),
        )
        if work.plan.sandbox:
            patterns = patterns_of(work.configuration, planned.name, planned.service)
            return execute_in_sandbox(order, patterns, execute)
        return execute(order)


def _origin(work: RunWork, planned: PlannedStep) -> dict[str, JsonValue]:
    """What a later run wants to know of a success: who made it, and of what its key was made."""
    return {
        "run": work.run.id,
        "revision": work.run.revision,
        "at": utc_text(work.connections.clock.now()),
        "patterns": list(patterns_of(work.configuration, planned.name, planned.service)),
        "components": dict(planned.components),
        "sandbox": work.plan.sandbox,
        "shared": work.plan.shares,
    }


def _finished_before(work: RunWork, planned: PlannedStep) -> bool:
    """Whether this very run has succeeded with it already, before it was begun again."""
    return planned.id in work.finished and work.configuration.steps[planned.name].reuse


def lost(planned: PlannedStep) -> StepResult:
    """The result of a step whose task ended without one."""
    return broken(planned, "its task was lost; retry the run")


def broken(planned: PlannedStep, because: str) -> StepResult:
    """The result of a step that could not be executed to its end."""
    return StepResult(planned.name, planned.service, StepState.ERRORED, because)


def secret_for(work: RunWork, purpose: str) -> Callable[[str], str]:
    """Resolves a reference for one step; the project's own secrets, never an environment's."""

    def secret(reference: str) -> str:
        return work.connections.secrets.resolve(reference, work.run.project, None, purpose)

    return secret


def remember_durations(work: RunWork) -> None:
    """Keep how long the steps took that were executed and succeeded, for the next run to expect."""
    took = {name: one.seconds for name, one in work.results.items() if one.state is StepState.COMPLETED}
    rows: dict[str, Row] = {
        f"{work.run.project}/{name}": {"step": name, "seconds": expected_next(work.expected.get(name), seconds)}
        for name, seconds in took.items()
    }
    work.connections.operations.save_all("durations", work.run.project, rows)


def tell(work: RunWork, planned: PlannedStep, result: StepResult, *, running: bool = False) -> StepResult:
    """Keep how the step stands where the API reads it."""
    place = next((place for place, one in enumerate(work.plan.steps) if one.id == planned.id), 0)
    document = _told(work, planned, result, place)
    if running:
        document |= {"state": "Running", "expected_seconds": work.expected.get(planned.id)}
    work.connections.operations.save("steps", f"{work.run.id}/{planned.id}", work.run.project, document)
    return result


def tell_all(work: RunWork) -> None:
    """Keep how every step stands that has a result, at once."""
    documents = {
        f"{work.run.id}/{planned.id}": _told(work, planned, work.results[planned.id], place)
        for place, planned in enumerate(work.plan.steps)
        if planned.id in work.results
    }
    work.connections.operations.save_all("steps", work.run.project, documents)


def _told(work: RunWork, planned: PlannedStep, result: StepResult, place: int) -> dict[str, JsonValue]:
    return {**step_document(result), "run": work.run.id, "place": place, "id": planned.id, "key": planned.key}


def step_document(result: StepResult) -> dict[str, JsonValue]:
    """A step's result as the API shows it."""
    report = asdict(result.report)
    return {
        "name": result.name,
        "service": result.service,
        "state": result.state.value,
        "reason": result.reason,
        "exit_code": result.exit_code,
        "attempts": result.attempts,
        "seconds": result.seconds,
        "reused": result.state is StepState.CACHED,
        "saved_seconds": result.saved_seconds,
        "log": result.log,
        "isolated": result.isolated,
        "exposure": result.exposure,
        "report": {**report, "failed": [asdict(one) for one in result.report.failed]},
    }


def verdict(steps: Sequence[PlannedStep], known: Mapping[str, StepResult]) -> tuple[RunState, str]:
    """How a plan's steps went as a whole, and why when not well. Errored outranks Failed outranks Cancelled.

    A step without a result counts as Errored: nothing is released that nobody tested.
    """
    results = {one.id: known.get(one.id) or lost(one) for one in steps}
    for state, run_state in (
        (StepState.ERRORED, RunState.ERRORED),
        (StepState.FAILED, RunState.FAILED),
        (StepState.CANCELLED, RunState.CANCELLED),
    ):
        bad = [f"{name}: {one.reason or one.state}" for name, one in results.items() if one.state is state]
        if bad:
            return run_state, "; ".join(bad)
    return RunState.COMPLETED, ""
