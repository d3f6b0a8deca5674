"""A run as the API shows it: its own work, then what became of the promotions that it set going."""

from collections.abc import Mapping, Sequence
from typing import cast

from pydantic import JsonValue

from delivery.connections import Connections
from delivery.gates.verdict import short
from delivery.ledger import utc_text
from delivery.promoting.accepting import policies_in_force
from delivery.promoting.turn import read_promotions
from delivery.promotion import Kind, Phase, Promotion
from delivery.run import Run, RunState
from shipline.control.control import Control
from shipline.control.exposure_notes import exposure_note
from shipline.control.library_notes import note_of_run
from shipline.control.queue_documents import place_of
from shipline.control.run_logs import log_documents

_STATES = {
    Phase.FAILED: RunState.FAILED,
    Phase.ROLLING_BACK: RunState.RUNNING,
    Phase.ERRORED: RunState.ERRORED,
    Phase.REFUSED: RunState.REFUSED,
    Phase.SUPERSEDED: RunState.REFUSED,
    Phase.ABORTED: RunState.REFUSED,
    Phase.WAITING: RunState.WAITING,
    Phase.SUCCEEDED: RunState.COMPLETED,
}
_WORST_FIRST = (
    RunState.RUNNING,
    RunState.ERRORED,
    RunState.FAILED,
    RunState.REFUSED,
    RunState.WAITING,
    RunState.COMPLETED,
)


def run_document(control: Control, run: Run) -> dict[str, JsonValue]:
    """`shipline run --json`, while it goes on and after."""
    connections = control.ports
    promotions = promotion_documents(connections, run)
    state = overall_state(run, promotions)
    steps = connections.operations.find("steps", below=run.id)
    planned = connections.operations.load("plans", run.id) or {}
    return {
        "id": run.id,
        "project": run.project,
        "revision": run.revision,
        "based_on": run.based_on,
        "state": state.value,
        "finished": run.verified_at is not None and state is not RunState.RUNNING,
        "queue": place_of(connections, run.id) if state is RunState.QUEUED else None,
        "problem": run.problem or _problem(promotions),
        "steps": [_step(one) for one in sorted(steps, key=lambda one: int(str(one.get("place", 0))))],
        "logs": log_documents(connections, run.id),
        "artifacts": [{"service": one.service, "digest": one.digest, "reused": one.reused} for one in run.artifacts],
        "release": run.release,
        "promotions": [*promotions],
        "started_at": utc_text(run.started_at) if run.started_at else None,
        "finished_at": utc_text(run.verified_at) if run.verified_at else None,
        "url": control.flow_runs.url(run.flow_run) if run.flow_run else None,
        "plan": shown_plan(planned.get("plan")),
        "note": "\n".join(filter(None, (note_of_run(run, planned.get("plan")), exposure_note(steps, run.artifacts)))),
    }


def run_promotions(connections: Connections, run: Run) -> list[Promotion]:
    """The newest promotion of the run's release in each environment, in the order that releases pass them."""
    if run.release is None:
        return []
    found = read_promotions(connections, project=run.project, release=run.release)
    newest = {one.environment: one for one in found if one.kind is not Kind.ROLLBACK}
    order = [policy.environment for policy in policies_in_force(connections, run.project)]
    return [newest[name] for name in order if name in newest]


def promotion_documents(connections: Connections, run: Run) -> list[dict[str, JsonValue]]:
    """How they stand; one that an earlier run asked for is Superseded when something else runs there since."""
    return [_promotion(one, _undone_since(connections, run, one)) for one in run_promotions(connections, run)]


def _promotion(promotion: Promotion, undone: str) -> dict[str, JsonValue]:
    return {
        "id": promotion.id,
        "environment": promotion.environment,
        "state": Phase.SUPERSEDED.value if undone else promotion.phase.value,
        "because": undone or promotion.because,
    }


def _undone_since(connections: Connections, run: Run, promotion: Promotion) -> str:
    """What took its place and how to bring it back; empty where it runs, or where this run itself brought it."""
    if promotion.phase is not Phase.SUCCEEDED or promotion.run == run.id:
        return ""
    environment = promotion.environment
    lane = read_promotions(connections, project=run.project, environment=environment)
    *_, last = sorted((one for one in lane if one.live_at), key=lambda one: (one.live_at, one.sequence))
    if last.candidate == promotion.candidate:
        return ""
    if last.kind is Kind.ROLLBACK:
        way = f"shipline promote {run.revision[:12]} --to {environment}"
        return f"rolled back since by promotion {last.id}; bring it back with: {way}"
    way = f"shipline rollback {environment} --to {short(promotion.release)}"
    return f"replaced since by promotion {last.id}; go back to it with: {way}"


def overall_state(run: Run, promotions: Sequence[Mapping[str, JsonValue]]) -> RunState:
    """How the run as a whole stands."""
    if run.verified_at is None or run.state is not RunState.COMPLETED:
        return run.state
    states = {_STATES.get(Phase(str(one["state"])), RunState.RUNNING) for one in promotions}
    return next((state for state in _WORST_FIRST if state in states), RunState.COMPLETED)


def shown_plan(plan: JsonValue) -> JsonValue:
    """Without what keys are made of: whoever follows a run asks for this again and again."""
    if not isinstance(plan, dict) or not isinstance(plan.get("steps"), list):
        return plan
    steps = [one for one in cast("list[JsonValue]", plan["steps"]) if isinstance(one, dict)]
    shown = [{name: value for name, value in one.items() if name != "components"} for one in steps]
    return {**plan, "steps": cast("JsonValue", shown)}


def _problem(promotions: Sequence[Mapping[str, JsonValue]]) -> str:
    bad = (Phase.FAILED, Phase.ERRORED, Phase.REFUSED, Phase.ABORTED, Phase.SUPERSEDED)
    return "; ".join(f"{one['environment']}: {one['because']}" for one in promotions if one["state"] in bad)


def _step(document: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """A step's document without what only the control plane needs."""
    return {name: value for name, value in document.items() if name not in {"run", "place", "updated_at"}}
