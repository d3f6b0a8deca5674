"""Judging: look up what the gates need to know, and ask every one of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from pydantic import JsonValue

from delivery.artifact import Digest
from delivery.connections import Connections
from delivery.gates.approvals import require_approvals
from delivery.gates.checks import require_checks
from delivery.gates.clean import require_clean, require_not_bad
from delivery.gates.conditions import require_conditions
from delivery.gates.freeze import require_not_frozen
from delivery.gates.hold import require_not_held
from delivery.gates.incident import require_no_open_incident
from delivery.gates.newer import ServiceLine, require_newer
from delivery.gates.queue import require_turn
from delivery.gates.quota import require_quota
from delivery.gates.upstream import require_soaked, require_verified_before, require_verified_upstream
from delivery.gates.verdict import Verdict, refusals, waits
from delivery.pipeline import one_is_enough
from delivery.ports import SourceRepository
from delivery.promoting.accepting import AcceptedPolicy, policy_in_force, policy_version
from delivery.promoting.approval_facts import approval_facts, approvals_for, rules_of
from delivery.promoting.candidates import candidate_of, run_digest
from delivery.promoting.condition_facts import facts_of
from delivery.promoting.freezes import frozen_by
from delivery.promoting.live import digests_of, live_services, release_services, services_of_releases
from delivery.promoting.place_facts import (
    allowance_of,
    open_incidents,
    requested_before,
    required_checks,
    rollouts_begun,
)
from delivery.promoting.upstreams import upstreams_of, verified_at
from delivery.promotion import Kind, Promotion
from delivery.rollout import Candidate, Workload


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
    facts, terms, now = _Facts(connections, promotion, candidate), policy.terms, connections.clock.now()
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
    return (
        require_not_held(place, _hold(connections, promotion.project, place), asked_by, kind),
        require_not_frozen(frozen_by(connections, promotion, terms.freeze, now), asked_by, kind),
        require_no_open_incident(place, [str(one["id"]) for one in incidents], asked_by, kind),
        require_checks(required_checks(connections, promotion, terms.checks), now, kind),
        require_quota(place, begun, allowance_of(terms.quota), now, kind),
        require_turn(requested_before(connections, promotion) if terms.queue == "serialize" else (), kind),
    )


def judge_moment(connections: Connections, promotion: Promotion) -> Judgement:
    """Ask only the gates that need no release: about the environment, the time and the revision."""
    policy = policy_version(connections, promotion.project, promotion.environment, promotion.policy_version)
    return Judgement(_place(connections, promotion, policy, connections.clock.now()))


def _hold(connections: Connections, project: str, environment: str) -> str | None:
    """Why somebody holds an environment."""
    rows = connections.ledger.rows("holds", project=project, environment=environment, held=True)
    return str(rows[0]["reason"]) if rows else None


def _conditions(facts: "_Facts", policy: AcceptedPolicy, now: datetime) -> Verdict:
    promotion, asked = facts.promotion, policy.terms.conditions
    known = facts_of(facts.connections, promotion, policy.terms.tier, facts.changes(), now) if asked else {}
    return require_conditions(asked, known, promotion.requested_by, promotion.kind)


def is_dirty(connections: Connections, promotion: Promotion) -> bool:
    """Whether uncommitted changes are promoted. A release made from some is clean once a commit makes the same one."""
    project, rows = promotion.project, connections.ledger.rows
    if _below(connections, project, promotion.configuration_revision):
        return True
    made_dirty = rows("releases", project=project, digest=promotion.release, dirty=True)
    return bool(made_dirty) and not rows("revisions", project=project, release=promotion.release, based_on=None)


def _below(connections: Connections, project: str, revision: str) -> str | None:
    """The commit below uncommitted changes; None for a commit."""
    rows = connections.ledger.rows("revisions", project=project, commit=revision)
    return str(rows[0]["based_on"]) if rows and rows[0].get("based_on") else None


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


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the ledger and the source know about a promotion."""

    connections: Connections
    promotion: Promotion
    candidate: Candidate | None = None

    def verified_before(self) -> bool:
        """Whether the release, or each of its services, was verified here; asked of what goes back only."""
        promotion = self.promotion
        here = verified_at(self.connections, promotion.project, promotion.environment, promotion.release)
        if promotion.kind is not Kind.ROLLBACK or here:
            return True
        services = release_services(self.connections, self.promotion.project, self.promotion.release)
        rows = self.connections.ledger.rows(
            "verified", project=self.promotion.project, environment=self.promotion.environment, revoked_at=None
        )
        releases = frozenset(str(row["release"]) for row in rows)
        known = services_of_releases(self.connections, self.promotion.project, releases)
        seen = {(name, str(one["artifact"])) for each in known.values() for name, one in each.items()}
        return bool(services) and all((name, str(one["artifact"])) in seen for name, one in services.items())

    def bad(self) -> tuple[Digest, ...]:
        digests: list[JsonValue] = [*digests_of(self.connections, self.promotion)]
        rows = self.connections.ledger.rows("bad", project=self.promotion.project, digest=digests)
        return tuple(Digest(str(row["digest"])) for row in rows)

    def lines(self) -> tuple[ServiceLine, ...]:
        """How each service's line of history goes on from what is live; one that the release lacks would end."""
        proposed, running = self._proposed(), self._running()
        names = sorted(proposed.keys() | running.keys())
        relation = cache(self._relation)  # most services went live together
        return tuple(_line(name, proposed.get(name), running.get(name), relation) for name in names)

    def changes(self) -> list[dict[str, JsonValue]]:
        """Services whose artifact or way to run would change: `{service, from, to, first}`, digests; "" for none."""
        proposed, running = self._proposed(), self._running()
        changed = [one for name, one in proposed.items() if not _is_same(one, running.get(name))]
        return [_changed(one.service, one.artifact, running.get(one.service)) for one in changed] + [
            _changed(name, "", running[name]) for name in sorted(running.keys() - proposed.keys())
        ]

    def _proposed(self) -> dict[str, Workload]:
        candidate = self.candidate or candidate_of(self.connections, self.promotion)
        return {one.service: one for one in candidate.workloads}

    def _running(self) -> dict[str, dict[str, JsonValue]]:
        return live_services(self.connections, self.promotion.project, self.promotion.environment)

    def _relation(self, live: str) -> str:
        source = self.connections.source(self.promotion.project)
        return _relation(source, self._commit(live), self._commit(self.promotion.configuration_revision))

    def _commit(self, revision: str) -> str:
        """The commit that stands for a revision: of uncommitted changes, the one below them."""
        return _below(self.connections, self.promotion.project, revision) or revision


def _line(
    name: str, proposed: Workload | None, live: dict[str, JsonValue] | None, relation: Callable[[str], str]
) -> ServiceLine:
    if live is None:
        return ServiceLine(name, "first")
    if proposed and _is_same(proposed, live):
        return ServiceLine(name, "same")
    return ServiceLine(name, relation(str(live["revision"])))


def _is_same(proposed: Workload, live: dict[str, JsonValue] | None) -> bool:
    return live is not None and (live["artifact"], live["run"]) == (proposed.artifact, run_digest(proposed))


def _changed(service: str, to: str, live: dict[str, JsonValue] | None) -> dict[str, JsonValue]:
    return {"service": service, "from": str(live["artifact"]) if live else "", "to": to, "first": live is None}


def _relation(source: SourceRepository, live: str, proposed: str) -> str:
    if source.is_ancestor(live, proposed):
        return "newer"
    if source.is_ancestor(proposed, live):
        return "older"
    return "diverged" if source.merge_base(live, proposed) else "unrelated"


def _insisting(promotion: Promotion) -> str:
    return f"shipline promote {promotion.configuration_revision[:12]} --to {promotion.environment} --replace"
