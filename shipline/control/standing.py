"""Why a promotion stands where it stands, since when, until when at least, and what would let it go on."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from delivery.connections import Connections
from delivery.gates.approvals import who_can
from delivery.gates.verdict import Verdict
from delivery.ledger import utc_text
from delivery.promoting.accepting import policy_version
from delivery.promoting.approval_facts import approval_facts, approvals_for, rules_of
from delivery.promoting.judging import Judgement, judge
from delivery.promotion import Phase, Promotion


@dataclass(frozen=True, slots=True)
class Standing:
    """For people, and for programs that show it to them."""

    reasons: tuple[str, ...]
    since: datetime
    until: datetime | None = None
    """Before when it cannot go on; None where nobody can say."""
    unblocked_by: str = ""
    """What would let it go on, and who can do that; empty where nothing has to be done."""
    asks_a_person: bool = False
    """Whether an approval is what is missing."""

    def times(self) -> dict[str, JsonValue]:
        """`since`, `until` and `unblocked_by` as JSON."""
        return {
            "since": utc_text(self.since),
            "until": utc_text(self.until) if self.until else None,
            "unblocked_by": self.unblocked_by or None,
        }


def standing_now(connections: Connections, promotion: Promotion) -> Standing:
    """As it stands; for a waiting one, what every gate says at this moment."""
    waits = promotion.waiting_since if promotion.phase is Phase.WAITING else None
    since = waits or promotion.moved_at or promotion.requested_at
    if promotion.phase is not Phase.WAITING:
        return Standing((promotion.because,), since)
    return _waiting(connections, promotion, judge(connections, promotion), since)


def _waiting(connections: Connections, promotion: Promotion, judgement: Judgement, since: datetime) -> Standing:
    if judgement.refusals:
        return Standing(judgement.refusals, since)
    if not judgement.waits:
        return Standing(("every gate passes now; it is about to go on",), since)
    ways = dict.fromkeys(_ways(connections, promotion, judgement.verdicts))
    return Standing(judgement.waits, since, judgement.until, "; ".join(ways), judgement.asks_a_person)


def _ways(connections: Connections, promotion: Promotion, verdicts: tuple[Verdict, ...]) -> Iterator[str]:
    for one in verdicts:
        if one.waiting and one.unblocked_by:
            yield one.unblocked_by
        elif one.waiting and one.gate == "approvals":
            yield f"{_approvers(connections, promotion)}: shipline approve {promotion.id}"


def _approvers(connections: Connections, promotion: Promotion) -> str:
    """People by name, as far as the control plane knows any whose approval would count."""
    policy = policy_version(connections, promotion.project, promotion.environment, promotion.policy_version)
    rules = rules_of(policy.terms)
    facts = approval_facts(connections, promotion, rules, approvals_for(connections, promotion))
    return " or ".join(who_can(rules, facts)) or "people who may approve"
