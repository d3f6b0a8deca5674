"""Rolling out: each effect outside is intended, done, and observed, in the ledger and in that order."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from pydantic import JsonValue

from delivery.errors import PermanentError
from delivery.promoting.accepting import policy_version
from delivery.promoting.candidates import candidate_of
from delivery.promoting.changes import changes_document, deployment_bodies, kind_by, service_changes, services_gone
from delivery.promoting.turn import Turn, utc_now
from delivery.promotion import Phase, Promotion
from delivery.rollout import Handle, Observed, Progress, RolloutPlan, Target

Said = Callable[[str], None]
"""Where progress is told, a line at a time."""

T = TypeVar("T")


def target_of(promotion: Promotion) -> Target:
    """Where a promotion rolls out."""
    return Target(promotion.project, promotion.environment, promotion.group)


def begin(turn: Turn) -> Turn:
    """Enter RollingOut and fix what changes; nothing to do when a pass before this one did."""
    promotion, connections = turn.promotion, turn.connections
    if promotion.phase is not Phase.ROLLING_OUT:
        changes, gone = service_changes(connections, promotion), services_gone(connections, promotion)
        moved = turn.moved(
            Phase.ROLLING_OUT,
            "starting the new side",
            started_at=utc_now(connections),
            previous_release=connections.deployer.observe(target_of(promotion)).release,
            changes=changes_document(changes),
            gone=list(gone),
            kind=kind_by(promotion, changes, gone).value,
        )
        turn = turn.write(moved)
    started = (
        turn.draft("deployment.started", body, once=f"started/{change.service}")
        for change, body in deployment_bodies(turn)
    )
    return turn.write(*started)


def start_new_side(turn: Turn, say: Said) -> Handle:
    """Apply the candidate without traffic and wait until it is healthy.

    PermanentError with the deployer's reason when it never is. One that may have traffic already is not applied
    again, which would take what served before away.
    """
    handle = handle_of(turn) if had_traffic(turn) else apply(turn, say)
    wait_until_healthy(turn, handle, say)
    return handle


def apply(turn: Turn, say: Said) -> Handle:
    """Start the candidate beside what serves."""
    connections, target = turn.connections, target_of(turn.promotion)
    deployer = connections.deployer
    plan = deployer.plan(target, candidate_of(connections, turn.promotion), deployer.observe(target))
    say(describe(plan))
    return effect(turn, "apply", lambda: deployer.apply(plan, turn.fence))


def wait_until_healthy(turn: Turn, handle: Handle, say: Said) -> None:
    """Look until it is; PermanentError when it never is or time is up."""
    connections, promotion = turn.connections, turn.promotion
    policy = policy_version(connections, promotion.project, promotion.environment, promotion.policy_version)
    deadline = connections.clock.now() + timedelta(seconds=policy.terms.rollout_timeout_seconds)
    last: Progress | None = None
    for progress in connections.deployer.watch(handle, deadline):
        if last is None or progress.message != last.message:
            say(progress.message)
        last = progress
        if progress.healthy:
            return
        if progress.failed:
            break
    reason = last.message if last else "the deployer saw nothing"
    raise PermanentError(f"rolling out to {promotion.environment}: {reason}", hint="what ran before still serves")


def shift_traffic(turn: Turn, handle: Handle) -> None:
    """Give the new side all traffic."""
    effect(turn, "shift", lambda: turn.connections.deployer.shift(handle, 100, turn.fence))


def had_traffic(turn: Turn) -> bool:
    """Whether an earlier pass may have given the new side traffic: it had begun to, and perhaps died right after."""
    return bool(turn.connections.ledger.rows("effects", promotion=turn.promotion.id, action="shift"))


def take_away(turn: Turn, handle: Handle) -> None:
    """Stop whatever gets no traffic: the old side after a success, the new one after a failed start."""
    effect(turn, "retire", lambda: turn.connections.deployer.retire(handle, turn.fence))


def handle_of(turn: Turn) -> Handle:
    """The rollout under way as the target has it; what another pass began can so be gone on with."""
    observed = turn.connections.deployer.observe(target_of(turn.promotion))
    return Handle(observed.target, turn.promotion.candidate, observed.generation, turn.fence)


def effect(turn: Turn, action: str, act: Callable[[], T]) -> T:
    """Intend, do, observe. Actions are idempotent, so that one without an observation is simply done again."""
    body: dict[str, JsonValue] = {"promotion": turn.promotion.id, "action": action, "fence": turn.fence}
    turn.write(turn.draft("effect.intended", body))
    result = act()
    turn.write(turn.draft("effect.observed", {**body, "observed": seen(result)}))
    return result


def seen(result: object) -> JsonValue:
    """What an effect's result says, as the ledger keeps it."""
    if isinstance(result, Observed):
        weights: dict[str, JsonValue] = {
            name: {str(digest): percent for digest, percent in sides.items()} for name, sides in result.weights.items()
        }
        return {"generation": result.generation, "weights": weights}
    return {"generation": result.generation} if isinstance(result, Handle) else None


def describe(plan: RolloutPlan) -> str:
    """A rollout plan in one line."""
    parts = [("start", plan.start), ("keep", plan.keep), ("stop", plan.stop)]
    return "; ".join(f"{verb} {', '.join(services)}" for verb, services in parts if services) or "nothing to do"
