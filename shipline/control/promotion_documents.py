"""Promotions as the API shows them."""

from collections.abc import Sequence

from pydantic import JsonValue

from delivery.approval import Approval
from delivery.connections import Connections
from delivery.errors import DeliveryError
from delivery.gates.approvals import ApprovalRules, who_can
from delivery.ledger import utc_text
from delivery.promoting.accepting import policy_version
from delivery.promoting.approval_facts import approval_facts, approvals_for, approvals_of_each, rules_of
from delivery.promoting.approving import what_changes
from delivery.promoting.changes import service_changes
from delivery.promoting.live import release_services
from delivery.promotion import Phase, Promotion, ServiceChange
from shipline.control.control import Control
from shipline.control.standing import standing_now


def promotion_document(control: Control, promotion: Promotion) -> dict[str, JsonValue]:
    """`shipline promote --json`."""
    connections = control.ports
    stands = standing_now(connections, promotion)
    return {
        "id": promotion.id,
        "project": promotion.project,
        "environment": promotion.environment,
        "state": promotion.phase.value,
        "kind": promotion.kind.value,
        "because": promotion.because,
        "services": [
            {"name": one.service, "from": one.previous_artifact, "to": one.artifact}
            for one in _changes(connections, promotion)
        ],
        "reasons": [*stands.reasons],
        "asks_a_person": stands.asks_a_person,
        **stands.times(),
        "release": promotion.release,
        "candidate": promotion.candidate,
        "rollback_of": promotion.rollback_of,
        "rolled_back_by": promotion.rolled_back_by,
        "finished": promotion.phase.final,
        "evidence": list(_rules(connections, promotion).accepted) if promotion.phase is Phase.WAITING else [],
        "url": url_of(control, promotion),
    }


def url_of(control: Control, promotion: Promotion) -> str | None:
    """The page of the flow run that shows its form, or that worked on it last."""
    flow_run = promotion.flow_run or control.ports.queue.flow_run(promotion.id)
    return control.flow_runs.url(flow_run) if flow_run else None


def _changes(connections: Connections, promotion: Promotion) -> tuple[ServiceChange, ...]:
    if promotion.changes or promotion.phase.final:
        return promotion.changes
    try:
        return service_changes(connections, promotion)
    except DeliveryError:
        return ()


def approval_document(control: Control, promotion: Promotion) -> dict[str, JsonValue]:
    """`shipline approvals --json`: what waits for a person, and everything that person should see."""
    connections = control.ports
    rules, given = _rules(connections, promotion), approvals_for(connections, promotion)
    services = release_services(connections, promotion.project, promotion.release)
    stands = standing_now(connections, promotion)
    return {
        "id": promotion.id,
        "environment": promotion.environment,
        "release": promotion.release,
        "candidate": promotion.candidate,
        "digests": {name: one["artifact"] for name, one in services.items()},
        "because": "; ".join(stands.reasons),
        **stands.times(),
        "requested_at": utc_text(promotion.requested_at),
        "expires_at": utc_text(promotion.expires_at) if promotion.expires_at else None,
        "requires": rules.needed,
        "roles": dict(rules.roles),
        "evidence": list(rules.accepted),
        "not_by": list(rules.not_by),
        "comment_required": rules.comment_required,
        "given": [
            {"approver": one.approver, "evidence": one.evidence, "at": utc_text(one.at), "comment": one.comment}
            for one in given
        ],
        "can_approve": list(who_can(rules, approval_facts(connections, promotion, rules, given))),
        "changes": what_changes(connections, promotion),
        "url": url_of(control, promotion),
    }


def _rules(connections: Connections, promotion: Promotion) -> ApprovalRules:
    policy = policy_version(connections, promotion.project, promotion.environment, promotion.policy_version)
    return rules_of(policy.terms)


def history_documents(
    connections: Connections, project: str, promotions: Sequence[Promotion]
) -> list[dict[str, JsonValue]]:
    """`shipline history --json`."""
    approvals = approvals_of_each(connections, project, promotions)
    return [history_document(one, approvals[one.id]) for one in promotions]


def history_document(promotion: Promotion, approvals: Sequence[Approval]) -> dict[str, JsonValue]:
    """One line of it."""
    return {
        "id": promotion.id,
        "environment": promotion.environment,
        "kind": promotion.kind.value,
        "state": promotion.phase.value,
        "because": promotion.because,
        "release": promotion.release,
        "requested_at": utc_text(promotion.requested_at),
        "started_at": utc_text(promotion.started_at) if promotion.started_at else None,
        "live_from": utc_text(promotion.live_at) if promotion.live_at else None,
        "finished_at": utc_text(promotion.finished_at) if promotion.finished_at else None,
        "by": promotion.requested_by.subject,
        "approvals": [one.approver for one in approvals if one.decision == "approve"],
        "rollback_of": promotion.rollback_of,
        "caused_by_incident": promotion.caused_by_incident,
    }
