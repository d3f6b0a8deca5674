"""Deciding from outside a pass: a person's yes or no enters the ledger, or is refused with the reason."""

from pydantic import JsonValue

from delivery.connections import Connections
from delivery.errors import StaleFenceError
from delivery.gate import Verdict
from delivery.ledger import Draft
from delivery.ports import Guard
from delivery.promoting.approving import Decision, decision_draft
from delivery.promoting.judging import approvals_for, judge
from delivery.promoting.turn import read_promotion, utc_now
from delivery.promotion import BEFORE_ROLLOUT, Phase, Promotion


def decide(connections: Connections, promotion: Promotion, decision: Decision) -> Verdict:
    """Record a decision about a promotion that has not begun to roll out.

    A rejection ends it at once. Refused: it has ended, has expired, has begun, or this person has said so already.
    """
    refused = _refusal(connections, promotion, decision)
    if refused:
        return Verdict("decision", (refused,))
    at = connections.clock.now()
    drafts = [decision_draft(promotion, decision, at)]
    if decision.decision == "reject":
        drafts.append(Draft("promotion.moved", _rejected(connections, promotion, decision), decision.person, at))
    guard = Guard(promotion=promotion.id, phases=tuple(phase.value for phase in BEFORE_ROLLOUT))
    try:
        connections.ledger.append(promotion.project, drafts, guard)
    except StaleFenceError:
        now = read_promotion(connections, promotion.id)
        return Verdict("decision", (_ended(now),))
    return Verdict("decision")


def _refusal(connections: Connections, promotion: Promotion, decision: Decision) -> str | None:
    if promotion.phase not in BEFORE_ROLLOUT:
        return _ended(promotion)
    judgement = judge(connections, promotion)
    if judgement.refusals:
        return "; ".join(judgement.refusals)
    said = [one for one in approvals_for(connections, promotion) if one.promotion == promotion.id]
    if decision.decision == "approve" and any(one.approver == decision.person.subject for one in said):
        return f"{decision.person.subject} has approved promotion {promotion.id} already"
    if decision.decision == "approve" and not judgement.asks_a_person:
        return f"promotion {promotion.id} needs no approval"
    return None


def _ended(promotion: Promotion) -> str:
    verb = "has ended" if promotion.phase.final else "has begun to roll out"
    return f"promotion {promotion.id} {verb}: {promotion.phase}, {promotion.because}"


def _rejected(connections: Connections, promotion: Promotion, decision: Decision) -> dict[str, JsonValue]:
    because = f": {decision.comment}" if decision.comment else ""
    return {
        "id": promotion.id,
        "phase": Phase.REFUSED.value,
        "because": f"rejected by {decision.person.subject}{because}",
        "finished_at": utc_now(connections),
    }
