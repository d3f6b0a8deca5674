"""Judging: look up what the gates need to know, and ask every one of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from delivery.connections import Connections
from delivery.gates.approvals import require_approvals
from delivery.gates.checks import require_checks
from delivery.gates.clean import require_clean, require_not_bad
from delivery.gates.conditions import require_conditions
from delivery.gates.freeze import require_not_frozen
from delivery.gates.hold import require_not_held
from delivery.gates.incident import require_no_open_incident
from delivery.gates.newer import require_newer
from delivery.gates.queue import require_turn
from delivery.gates.quota import require_quota
from delivery.gates.upstream import require_soaked, require_verified_before, require_verified_upstream
from delivery.gates.verdict import Verdict, refusals, waits
from delivery.pipeline import one_is_enough
from delivery.promoting.accepting import AcceptedPolicy, policy_in_force, policy_version
from delivery.promoting.approval_facts import approval_facts, approvals_for, rules_of
from delivery.promoting.condition_facts import facts_of
from delivery.promoting.freezes import frozen_by
from delivery.promoting.place_facts import (
    allowance_of,
    open_incidents,
    requested_before,
    required_checks,
    rollouts_begun,
)
from delivery.promoting.release_facts import ReleaseFacts, is_dirty
from delivery.promoting.upstreams import upstreams_of
from delivery.promotion import Kind, Promotion
from delivery.rollout import Candidate


@dataclass(frozen=True, slots=True)
class Judgement:
    """What every gate said."""

    verdicts: tuple[Verdict, ...]

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why it may never go on."""
        return refusals(self.verdicts)

    @property
    def waits(self) -> tuple[str, ...]:
        """What it waits for."""
        return waits(self.verdicts)

    @property
    def until(self) -> datetime | None:
        """Before when it cannot go on, as far as it only waits for time; None where no gate knows a time."""
        return max((one.until for one in self.verdicts if one.waiting and one.until), default=None)

    @property
    def asks_a_person(self) -> bool:
        """Whether an approval is what is missing: nobody is asked about what may never go on."""
        return not self.refusals and any(one.gate == "approvals" and one.waiting for one in self.verdicts)


def judge(connections: Connections, promotion: Promotion, candidate: Candidate | None = None) -> Judgement:
    """Ask every gate about a promotion as things stand now; about a candidate that is not stored where one is given."""
    policy = policy_version(connections, promotion.project, promotion.environment, promotion.policy_version)
    facts, terms, now = ReleaseFacts(connections, promotion, candidate), policy.terms, connections.clock.now()
    asked_by, kind = promotion.requested_by, promotion.kind
    return Judgement(
        (
            _require_current_policy(connections, promotion),
            require_clean(terms.tier, dirty=is_dirty(connections, promotion)),
            *_upstream(connections, promotion, policy, now),
            require_verified_before(
                promotion.release,
                promotion.environment,
                verified=kind is not Kind.ROLLBACK or facts.verified_before(),
                kind=kind,
            ),
            require_not_bad(facts.bad(), asked_by),
            require_newer(facts.lines(), kind, replace=promotion.replace, insist=_insisting(promotion)),
            *_place(connections, promotion, policy, now),
            _conditions(facts, policy, now),
            _approvals(connections, promotion, policy),
        )
    )


def _upstream(
    connections: Connections, promotion: Promotion, policy: AcceptedPolicy, now: datetime
) -> tuple[Verdict, ...]:
    terms, kind = policy.terms, promotion.kind
    found = upstreams_of(connections, promotion.project, promotion.release, terms.after)
    by_any = one_is_enough(terms.after)
    return (
        require_verified_upstream(promotion.release, found, kind, one_is_enough=by_any),
        require_soaked(found, timedelta(seconds=terms.soak_seconds), now, kind, one_is_enough=by_any),
    )


def _place(
    connections: Connections, promotion: Promotion, policy: AcceptedPolicy, now: datetime
) -> tuple[Verdict, ...]:
    """What is asked of the moment, and of what others say."""
    terms, kind, asked_by = policy.terms, promotion.kind, promotion.requested_by
    place = promotion.environment
    incidents = open_incidents(connections, promotion.project, place) if terms.no_open_incident else []
    begun = rollouts_begun(connections, promotion, terms.quota)
    windows = () if goes_back_by_itself(promotion) else terms.freeze  # no calendar is read while users suffer
    return (
        require_not_held(place, _hold(connections, promotion.project, place), asked_by, kind),
        require_not_frozen(frozen_by(connections, promotion, windows, now), asked_by, kind),
        require_no_open_incident(place, [str(one["id"]) for one in incidents], asked_by, kind),
        require_checks(required_checks(connections, promotion, terms.checks), now, kind),
        require_quota(place, begun, allowance_of(terms.quota), now, kind),
        require_turn(requested_before(connections, promotion) if terms.queue == "serialize" else (), kind),
    )


def goes_back_by_itself(promotion: Promotion) -> bool:
    """Whether it is the way back of a rollout that failed."""
    return promotion.kind is Kind.ROLLBACK and promotion.requested_by.kind == "automation"


def judge_moment(connections: Connections, promotion: Promotion) -> Judgement:
    """Ask only the gates that need no release: about the environment, the time and the revision."""
    policy = policy_version(connections, promotion.project, promotion.environment, promotion.policy_version)
    return Judgement(_place(connections, promotion, policy, connections.clock.now()))


def _hold(connections: Connections, project: str, environment: str) -> str | None:
    """Why somebody holds an environment."""
    rows = connections.ledger.rows("holds", project=project, environment=environment, held=True)
    return str(rows[0]["reason"]) if rows else None


def _conditions(facts: ReleaseFacts, policy: AcceptedPolicy, now: datetime) -> Verdict:
    promotion = facts.promotion
    asked = () if goes_back_by_itself(promotion) else policy.terms.conditions
    known = facts_of(facts.connections, promotion, policy.terms.tier, facts.changes(), now) if asked else {}
    return require_conditions(asked, known, promotion.requested_by, promotion.kind)


def _approvals(connections: Connections, promotion: Promotion, policy: AcceptedPolicy) -> Verdict:
    given = approvals_for(connections, promotion)
    if promotion.kind is Kind.ROLLBACK and promotion.requested_by.kind == "automation":
        # The way back of a failed rollout: this candidate stood here a moment ago.
        return Verdict("approvals")
    rules = rules_of(policy.terms)
    if not rules.needed and not given:
        return Verdict("approvals")
    return require_approvals(rules, approval_facts(connections, promotion, rules, given))


def _require_current_policy(connections: Connections, promotion: Promotion) -> Verdict:
    in_force = policy_in_force(connections, promotion.project, promotion.environment)
    if promotion.kind is Kind.ROLLBACK or in_force is None or in_force.version == promotion.policy_version:
        return Verdict("policy")
    changed = f"the policy of {promotion.environment} is now version {in_force.version}"
    return Verdict(
        "policy", (f"{changed}; it was requested under version {promotion.policy_version}, request it again",)
    )


def _insisting(promotion: Promotion) -> str:
    return f"shipline promote {promotion.configuration_revision[:12]} --to {promotion.environment} --replace"
