"""Requesting: from "this release, there" to a promotion in its lane, once per request."""

from contextlib import suppress
from dataclasses import dataclass, replace

import uuid6
from pydantic import JsonValue

from delivery.actor import SHIPLINE, Actor
from delivery.artifact import Digest
from delivery.connections import Connections
from delivery.errors import ConfigurationError, DeliveryError, StaleFenceError
from delivery.ledger import Draft
from delivery.ports import Guard
from delivery.promoting.accepting import policies_in_force, policy_in_force
from delivery.promoting.approval_facts import approvals_for
from delivery.promoting.candidates import candidate_for, candidate_of
from delivery.promoting.live import digests_of
from delivery.promoting.turn import read_promotions, utc_now
from delivery.promotion import BEFORE_ROLLOUT, FORWARD, Kind, Phase, Promotion, standing
from delivery.rollout import Candidate, Target, misplaced


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for. The same `request` asked again gives the promotion that is there."""

    project: str
    environment: str
    release: Digest
    configuration_revision: str
    actor: Actor
    request: str
    kind: Kind = Kind.CHANGE
    run: str | None = None
    replace: bool = False
    candidate: Candidate | None = None
    """Exactly this one, for a rollback; otherwise made from release, configuration and policy in force."""
    rollback_of: str | None = None
    caused_by_incident: str | None = None


def request_promotion(connections: Connections, wanted: Wanted) -> Promotion:
    """Write the request into the ledger; what it makes pointless in its lane is superseded.

    ConfigurationError when the environment has no policy in force.
    """
    found = request_draft(connections, wanted)
    if isinstance(found, Promotion):
        return found
    connections.ledger.append(wanted.project, [found])
    promotion = read_promotions(connections, project=wanted.project, request=wanted.request)[0]
    supersede_older(connections, promotion)
    return promotion


def request_draft(connections: Connections, wanted: Wanted) -> Promotion | Draft:
    """The promotion that already answers the request, or the fact that asks for a new one."""
    policy = policy_in_force(connections, wanted.project, wanted.environment)
    if policy is None:
        known = ", ".join(one.environment for one in policies_in_force(connections, wanted.project))
        hint = f"environments with an accepted policy: {known}" if known else "shipline run accepts the first proposal"
        raise ConfigurationError(f"no environment '{wanted.environment}'", hint=hint)
    asked = read_promotions(connections, project=wanted.project, request=wanted.request)
    if asked:
        return asked[0]
    candidate = wanted.candidate or candidate_for(
        connections,
        wanted.project,
        wanted.environment,
        policy.version,
        wanted.release,
        wanted.configuration_revision,
    )
    already = _already_there(connections, wanted, candidate)
    asked_for = replace(wanted, caused_by_incident=_answered_incident(connections, wanted))
    key, body = f"request/{wanted.request}", _body(asked_for, candidate)
    return already or Draft("promotion.requested", body, wanted.actor, connections.clock.now(), key)


def _body(wanted: Wanted, candidate: Candidate) -> dict[str, JsonValue]:
    return {
        "id": str(uuid6.uuid7()),
        "environment": wanted.environment,
        "kind": wanted.kind.value,
        "release": candidate.release,
        "candidate": candidate.digest,
        "configuration": candidate.configuration,
        "policy_version": candidate.policy_version,
        "configuration_revision": wanted.configuration_revision,
        "run": wanted.run,
        "request": wanted.request,
        "replace": wanted.replace,
        "rollback_of": wanted.rollback_of,
        "caused_by_incident": wanted.caused_by_incident,
    }


def _answered_incident(connections: Connections, wanted: Wanted) -> str | None:
    """The open incident that a hotfix answers: the newest one of its environment."""
    if wanted.kind is not Kind.HOTFIX or wanted.caused_by_incident:
        return wanted.caused_by_incident
    where: dict[str, JsonValue] = {"project": wanted.project, "environment": wanted.environment}
    rows = connections.ledger.rows("incidents", order="-opened_at", limit=1, **where, state=["open", "mitigated"])
    return str(rows[0]["id"]) if rows else None


def _already_there(connections: Connections, wanted: Wanted, candidate: Candidate) -> Promotion | None:
    """A promotion of this very candidate that is under way, or the last one here when it succeeded."""
    if wanted.kind is not Kind.CHANGE:
        return None
    lane = read_promotions(connections, project=wanted.project, environment=wanted.environment)
    same = [one for one in lane if one.candidate == candidate.digest]
    for one in same:
        if not one.phase.final and one.replace >= wanted.replace:
            return one
    rolled_out = [(one.live_at, one.sequence, one) for one in lane if one.live_at is not None]
    last = max(rolled_out)[2] if rolled_out else None
    stands = last in same and last is not None and last.phase is Phase.SUCCEEDED
    return last if stands and not _answers_elsewhere(connections, wanted, candidate) else None


def _answers_elsewhere(connections: Connections, wanted: Wanted, candidate: Candidate) -> bool:
    """Whether a service is not at the address that the candidate gives it: asking once more mends that."""
    with suppress(DeliveryError):
        observed = connections.deployer.observe(Target(wanted.project, wanted.environment))
        return bool(misplaced(candidate.workloads, observed))
    return False


def supersede_older(connections: Connections, newest: Promotion) -> None:
    """Changes that have not begun to roll out give way to one of a newer revision of the same line.

    Not where the environment's queue takes all, one after the other.
    """
    policy = policy_in_force(connections, newest.project, newest.environment)
    if newest.kind not in FORWARD or policy is None or policy.terms.queue == "serialize":
        return
    source = connections.source(newest.project)
    give = dict.fromkeys((Phase.REQUESTED, Phase.QUEUED, Phase.WAITING), give_way)
    if policy.terms.queue == "cancel":
        give[Phase.JUDGING] = ask_to_stop
    waiting = read_promotions(
        connections,
        project=newest.project,
        environment=newest.environment,
        kind=[kind.value for kind in FORWARD],
        phase=[phase.value for phase in give],
    )
    for one in waiting:
        older = one.sequence < newest.sequence and one.id != newest.id
        if older and source.is_ancestor(one.configuration_revision, newest.configuration_revision):
            give[one.phase](connections, one, newest)


def give_way(connections: Connections, older: Promotion, newest: Promotion) -> None:
    """Move a promotion to Superseded unless it has gone on meanwhile."""
    body: dict[str, JsonValue] = {
        "id": older.id,
        "phase": Phase.SUPERSEDED.value,
        "because": f"superseded by promotion {newest.id}{_void(connections, older)}",
        "finished_at": utc_now(connections),
    }
    _tell(connections, older, "promotion.moved", body, BEFORE_ROLLOUT - {Phase.JUDGING})


def ask_to_stop(connections: Connections, older: Promotion, newest: Promotion) -> None:
    """Let a promotion that is being judged end Aborted before it rolls out; one that has gone on is let finish."""
    body: dict[str, JsonValue] = {"id": older.id, "abort_requested": f"superseded by promotion {newest.id}"}
    _tell(connections, older, "promotion.abort_requested", body, frozenset({Phase.JUDGING}))


def _tell(
    connections: Connections, older: Promotion, kind: str, body: dict[str, JsonValue], phases: frozenset[Phase]
) -> None:
    draft = Draft(kind, body, SHIPLINE, connections.clock.now())
    guard = Guard(promotion=older.id, phases=tuple(phase.value for phase in phases))
    with suppress(
        StaleFenceError
    ):  # it began to roll out in this moment: the order in the lane keeps the newest behind
        connections.ledger.append(older.project, [draft], guard)


def rollback_wanted(
    connections: Connections, failed: Promotion, incident: str | None, condemned: frozenset[str]
) -> Wanted | None:
    """The way back from a promotion: the candidate that was good before it; None when there is none."""
    good = last_good(connections, failed, condemned)
    if good is None:
        return None
    return rollback_to(connections, good, failed, SHIPLINE, f"rollback/{failed.id}", incident)


def rollback_to(
    connections: Connections,
    good: Promotion,
    undone: Promotion | None,
    actor: Actor,
    request: str,
    incident: str | None = None,
) -> Wanted:
    """A rollback to exactly the candidate of an earlier promotion."""
    return Wanted(
        project=good.project,
        environment=good.environment,
        release=good.release,
        configuration_revision=good.configuration_revision,
        actor=actor,
        request=request,
        kind=Kind.ROLLBACK,
        candidate=candidate_of(connections, good),
        rollback_of=undone.id if undone else None,
        caused_by_incident=incident,
    )


def last_good(connections: Connections, failed: Promotion, condemned: frozenset[str] = frozenset()) -> Promotion | None:
    """What stood here before it, and of which nothing is bad or condemned now; never what somebody rolled back."""
    earlier = read_promotions(
        connections,
        project=failed.project,
        environment=failed.environment,
        phase=Phase.SUCCEEDED.value,
    )
    bad = condemned | {str(row["digest"]) for row in connections.ledger.rows("bad", project=failed.project)}
    stays_undone = failed.rollback_of if failed.phase is not Phase.SUCCEEDED else None
    undone = {failed.candidate, *(one.candidate for one in earlier if one.id == stays_undone)}
    for one in reversed(standing(earlier)):
        if one.candidate not in undone and not bad & digests_of(connections, one):
            return one
    return None


def _void(connections: Connections, older: Promotion) -> str:
    """An approval is for one candidate: those that were given say nothing of the newer one."""
    given = [one.approver for one in approvals_for(connections, older) if one.decision == "approve"]
    return f"; approved by {', '.join(given)}, which is void for another candidate" if given else ""
