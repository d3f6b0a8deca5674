"""Deciding from outside a pass: a person's yes or no enters the ledger, or is refused with the reason."""

from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from delivery.actor import Actor
from delivery.approval import Approval
from delivery.connections import Connections
from delivery.errors import StaleFenceError
from delivery.gates.approvals import objections
from delivery.gates.verdict import Verdict
from delivery.ledger import Draft
from delivery.people.code_checking import check_code
from delivery.people.reading import read_people
from delivery.ports import Guard
from delivery.promoting.accepting import policy_version
from delivery.promoting.approval_facts import approval_facts, approvals_for, rules_of
from delivery.promoting.approving import Decision, approval_of, decision_draft
from delivery.promoting.judging import judge
from delivery.promoting.turn import read_promotion, utc_now
from delivery.promotion import BEFORE_ROLLOUT, Phase, Promotion


def decide(connections: Connections, promotion: Promotion, decision: Decision) -> Verdict:
    """Record a decision about a promotion that has not begun to roll out.

    A rejection ends it at once. Refused: it has ended, has expired, has begun, or this person has said so already.
    """
    at = connections.clock.now()
    roles = read_people(connections).roles_of(decision.person.subject, at)
    approval = approval_of(promotion, decision, roles, at)
    refused = _refusal(connections, promotion, approval)
    if refused:
        return Verdict("decision", (refused,))
    drafts = [decision_draft(promotion, approval, decision.person)]
    if decision.decision == "reject":
        drafts.append(Draft("promotion.moved", _rejected(connections, promotion, decision), decision.person, at))
    guard = Guard(promotion=promotion.id, phases=tuple(phase.value for phase in BEFORE_ROLLOUT))
    try:
        connections.ledger.append(promotion.project, drafts, guard)
    except StaleFenceError:
        now = read_promotion(connections, promotion.id)
        return Verdict("decision", (_ended(now),))
    return Verdict("decision")


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody filled in on Prefect's page."""

    decision: Literal["approve", "reject"]
    approver: str
    comment: str = ""
    code: str = ""


def decide_by_form(connections: Connections, promotion: Promotion, answer: Answer) -> Verdict:
    """As `decide`, by the evidence that a page can give: a one-time code, or no more than a name."""
    if answer.code:
        proven = check_code(connections, answer.approver, answer.code)
        if not proven.passed:
            return proven
    person = Actor("person", answer.approver, "one-time-code" if answer.code else "none")
    return decide(connections, promotion, Decision(answer.decision, person, answer.comment))


def _refusal(connections: Connections, promotion: Promotion, approval: Approval) -> str | None:
    if promotion.phase not in BEFORE_ROLLOUT:
        return _ended(promotion)
    judgement = judge(connections, promotion)
    if judgement.refusals:
        return "; ".join(judgement.refusals)
    said = [one for one in approvals_for(connections, promotion) if one.promotion == promotion.id]
    if approval.decision == "approve" and any(one.approver == approval.approver for one in said):
        return f"{approval.approver} has approved promotion {promotion.id} already"
    if approval.decision == "approve" and not judgement.asks_a_person:
        return f"promotion {promotion.id} needs no approval"
    return "; ".join(_objections(connections, promotion, approval)) or None


def _objections(connections: Connections, promotion: Promotion, approval: Approval) -> tuple[str, ...]:
    """Why it would not count, under the policy that the promotion names."""
    terms = policy_version(connections, promotion.project, promotion.environment, promotion.policy_version).terms
    rules = rules_of(terms)
    return objections(rules, approval_facts(connections, promotion, rules, [approval]), approval)


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
