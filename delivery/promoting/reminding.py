"""Reminding: saying again, at the times that the policy names, that a promotion waits for people."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from pydantic import JsonValue

from delivery.actor import SHIPLINE
from delivery.connections import Connections
from delivery.gates.approvals import who_can
from delivery.ledger import Draft
from delivery.promoting.accepting import policy_version
from delivery.promoting.approval_facts import approval_facts, approvals_for, rules_of
from delivery.promoting.turn import log_of
from delivery.promotion import Promotion


def reminders_due(asked_at: datetime, after_seconds: Iterable[float], now: datetime) -> int:
    """How many of the reminders have come due since people were asked first."""
    return sum(asked_at + timedelta(seconds=seconds) <= now for seconds in after_seconds)


def remind(connections: Connections, promotion: Promotion, waits: Iterable[str]) -> None:
    """Tell the ledger and the promotion's log, once for each reminder; those that were slept through count as one."""
    terms = policy_version(connections, promotion.project, promotion.environment, promotion.policy_version).terms
    if promotion.expires_at is None:
        return
    asked_at = promotion.expires_at - timedelta(seconds=terms.approval_expires_after_seconds)
    now = connections.clock.now()
    due = reminders_due(asked_at, terms.approval_remind_after_seconds, now)
    if due <= promotion.reminders:
        return
    body: dict[str, JsonValue] = {"id": promotion.id, "reminders": due}
    draft = Draft("promotion.reminded", body, SHIPLINE, now, f"reminded/{promotion.id}/{due}")
    connections.ledger.append(promotion.project, [draft])
    rules, given = rules_of(terms), approvals_for(connections, promotion)
    can = ", ".join(who_can(rules, approval_facts(connections, promotion, rules, given)))
    place = log_of(connections, promotion.id)
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("a", encoding="utf-8") as log:
        log.write(f"reminder {due}: {'; '.join(waits)}{f'; {can} can' if can else ''}\n")
