"""Stopping and continuing from outside a pass: give up, abort, retry, expire."""

from pydantic import JsonValue

from delivery.actor import SHIPLINE, Actor
from delivery.connections import Connections
from delivery.errors import StaleFenceError
from delivery.gates.verdict import Verdict
from delivery.ledger import Draft
from delivery.ports import Guard
from delivery.promoting.turn import read_promotion, read_promotions, utc_now
from delivery.promotion import Phase, Promotion

NOT_STARTED = (Phase.REQUESTED, Phase.QUEUED, Phase.WAITING)


def give_up(connections: Connections, promotion: Promotion, because: str) -> None:
    """Errored: Shipline could not find out; a person may retry. Nothing happens if it went on meanwhile."""
    _move(connections, promotion, Phase.ERRORED, because, SHIPLINE, (promotion.phase,))


def abort(connections: Connections, promotion: Promotion, reason: str, actor: Actor) -> Verdict:
    """Stop a promotion that has not rolled out; one that judges at this moment is asked to."""
    because = f"aborted by {actor.subject}: {reason}"
    if promotion.phase.final:
        return Verdict("abort", (f"promotion {promotion.id} has ended: {promotion.phase}",))
    if _move(connections, promotion, Phase.ABORTED, because, actor, NOT_STARTED):
        return Verdict("abort")
    now = read_promotion(connections, promotion.id)
    if now.phase is not Phase.JUDGING:
        hint = "shipline rollback goes back once it has ended"
        return Verdict("abort", (f"promotion {promotion.id} is {now.phase} and cannot be aborted; {hint}",))
    body: dict[str, JsonValue] = {"id": promotion.id, "abort_requested": because}
    draft = Draft("promotion.abort_requested", body, actor, connections.clock.now())
    connections.ledger.append(promotion.project, [draft])
    return Verdict("abort")


def retry(connections: Connections, promotion: Promotion, actor: Actor) -> Verdict:
    """Continue an Errored promotion under its id, from where it stood; not over what was rolled out there since."""
    if promotion.phase is not Phase.ERRORED:
        return Verdict("retry", (f"promotion {promotion.id} is {promotion.phase}; only an Errored one can be retried",))
    lease = connections.operations.acquire(promotion.lane, f"retry {promotion.id}", connections.pace.lease)
    if lease is None:
        return Verdict("retry", (f"another promotion is being worked on in {promotion.environment}; wait for it",))
    try:
        phase = _where_it_stood(promotion)
        since = _begun_since(connections, promotion) if phase is Phase.ROLLING_OUT else None
        if since:
            return Verdict("retry", (f"promotion {since.id} was rolled out since; request the release again",))
        _move(connections, promotion, phase, f"retried by {actor.subject}", actor, (Phase.ERRORED,))
    finally:
        connections.operations.release(lease)
    return Verdict("retry")


def _where_it_stood(promotion: Promotion) -> Phase:
    if promotion.rolled_back_by:
        return Phase.ROLLING_BACK
    return Phase.ROLLING_OUT if promotion.started_at else Phase.REQUESTED


def _begun_since(connections: Connections, promotion: Promotion) -> Promotion | None:
    """Another promotion of the lane that has begun to roll out after this one."""
    others = read_promotions(connections, project=promotion.project, environment=promotion.environment)
    begun = [(one.started_at, one.sequence, one) for one in others if one.started_at and one.lane == promotion.lane]
    last = max(begun)[2] if begun else promotion
    return None if last.id == promotion.id else last


def _move(
    connections: Connections, promotion: Promotion, phase: Phase, because: str, actor: Actor, from_: tuple[Phase, ...]
) -> bool:
    finished = utc_now(connections) if phase.final else None
    body: dict[str, JsonValue] = {"id": promotion.id, "phase": phase.value, "because": because, "finished_at": finished}
    draft = Draft("promotion.moved", body, actor, connections.clock.now())
    guard = Guard(promotion=promotion.id, phases=tuple(one.value for one in from_))
    try:
        connections.ledger.append(promotion.project, [draft], guard)
    except StaleFenceError:
        return False
    return True
