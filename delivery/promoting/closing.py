"""Closing: how a promotion ends, and what its end sets going."""

from collections.abc import Iterator, Sequence

import uuid6
from pydantic import JsonValue

from delivery.actor import SHIPLINE
from delivery.connections import Connections
from delivery.ledger import Draft
from delivery.pipeline import After, names_of, one_is_enough
from delivery.ports import Guard
from delivery.promoting.accepting import policies_in_force
from delivery.promoting.candidates import configuration_at
from delivery.promoting.changes import finished_drafts, live_drafts
from delivery.promoting.release_facts import is_dirty
from delivery.promoting.requesting import Wanted, request_draft, rollback_wanted, supersede_older
from delivery.promoting.turn import Turn, read_promotion, read_promotions, utc_now
from delivery.promoting.upstreams import is_on_its_way, verified_at
from delivery.promotion import FORWARD, Kind, Phase, Promotion


def succeed(turn: Turn) -> Turn:
    """Live, verified and watched: tell so, close what this mends, and ask for the next environments, all at once."""
    promotion = turn.promotion
    verified: dict[str, JsonValue] = {
        "environment": promotion.environment,
        "release": promotion.release,
        "candidate": promotion.candidate,
        "promotion": promotion.id,
    }
    following = [found for one in _downstream(turn) if isinstance(found := request_draft(turn.connections, one), Draft)]
    turn = turn.write(
        turn.draft("release.verified", verified, once="verified"),
        *finished_drafts(turn, "succeeded"),
        *_mended(turn, resolved=True),
        turn.moved(Phase.SUCCEEDED, "live, verified and watched"),
        *following,
    )
    for draft in following:
        for one in read_promotions(turn.connections, id=draft.body["id"]):
            supersede_older(turn.connections, one)
    close_undone(turn, turn.promotion)
    return turn


def go_live(turn: Turn) -> Turn:
    """All traffic is on the new side: its services are live, and what hurt users here before no longer does."""
    now = utc_now(turn.connections)
    moved = turn.moved(Phase.VERIFYING, "all traffic is on the new side", exposed_at=now, live_at=now)
    return turn.write(*live_drafts(turn), *_mended(turn, resolved=False), *_restored(turn), moved)


def end(turn: Turn, phase: Phase, because: str) -> Turn:
    """Refused, Superseded, Aborted or Errored: nothing else follows."""
    turn = turn.write(turn.moved(phase, because))
    close_undone(turn, turn.promotion)
    return turn


def fail_before_exposure(turn: Turn, because: str) -> Turn:
    """No user was served by it: Failed, and what ran before serves on."""
    turn = turn.write(*finished_drafts(turn, "failed"), turn.moved(Phase.FAILED, because))
    close_undone(turn, turn.promotion)
    return turn


def fail_after_exposure(turn: Turn, because: str) -> Turn:
    """Users were served by it: bad, an incident, and the way back to what was good."""
    incident = str(uuid6.uuid7())
    changed = frozenset(one.artifact for one in turn.promotion.changes if one.artifact != one.previous_artifact)
    wanted = rollback_wanted(turn.connections, turn.promotion, incident, changed)
    request = request_draft(turn.connections, wanted) if wanted else None
    if isinstance(request, Draft):
        way_back = [request, turn.moved(Phase.ROLLING_BACK, because, rolled_back_by=request.body["id"])]
    else:
        way_back = [turn.moved(Phase.FAILED, f"{because}; there is no good release to go back to")]
    turn = turn.write(
        *_condemned(turn, because, changed, same_release=bool(wanted and wanted.release == turn.promotion.release)),
        _incident(turn, incident, because),
        *finished_drafts(turn, "failed"),
        *way_back,
    )
    close_undone(turn, turn.promotion)
    return turn


def close_undone(turn: Turn, rollback: Promotion) -> None:
    """When a rollback ends, whatever way, the promotion that it undid is Failed; which may be a rollback too."""
    if not rollback.rollback_of or not rollback.phase.final:
        return
    undone = read_promotion(turn.connections, rollback.rollback_of)
    if undone.phase is Phase.ROLLING_BACK and undone.rolled_back_by == rollback.id:
        _settle(turn, undone, rollback)
        close_undone(turn, read_promotion(turn.connections, undone.id))


def _settle(turn: Turn, undone: Promotion, rollback: Promotion) -> None:
    went = "rolled back" if rollback.phase is Phase.SUCCEEDED else f"its rollback ended {rollback.phase}"
    body: dict[str, JsonValue] = {
        "id": undone.id,
        "phase": Phase.FAILED.value,
        "because": f"{undone.because}; {went}",
        "finished_at": utc_now(turn.connections),
    }
    draft = Draft("promotion.moved", body, turn.draft("promotion.moved", body).actor, turn.connections.clock.now())
    guard = Guard(lease=turn.lease, promotion=undone.id, phases=(Phase.ROLLING_BACK,))
    turn.connections.ledger.append(undone.project, [draft], guard)


def _downstream(turn: Turn) -> Iterator[Wanted]:
    """Every environment that takes by itself what was verified here."""
    promotion = turn.promotion
    if promotion.kind not in FORWARD:
        return
    known = configuration_at(turn.connections, promotion.project, promotion.configuration_revision).environments
    dirty = is_dirty(turn.connections, promotion)
    for policy in policies_in_force(turn.connections, promotion.project):
        follows = policy.terms.automatic and _comes_next(turn.connections, promotion, policy.terms.after)
        may_take = policy.environment in known and (policy.terms.tier == "development" or not dirty)
        if follows and may_take:
            yield Wanted(
                project=promotion.project,
                environment=policy.environment,
                release=promotion.release,
                configuration_revision=promotion.configuration_revision,
                actor=SHIPLINE,
                kind=Kind.HOTFIX if promotion.kind is Kind.HOTFIX else Kind.CHANGE,
                run=promotion.run,
                replace=promotion.replace,
                request=f"after/{promotion.id}/{policy.environment}",
            )


def _comes_next(connections: Connections, promotion: Promotion, after: After) -> bool:
    """Whether what is verified here may go on: of several upstreams that all count, the others have it or get it."""
    names = names_of(after)
    if promotion.environment not in names or one_is_enough(after):
        return promotion.environment in names
    others = [one for one in names if one != promotion.environment]
    project, release = promotion.project, promotion.release
    return all(
        verified_at(connections, project, one, release) or is_on_its_way(connections, project, one, release)
        for one in others
    )


def _condemned(turn: Turn, because: str, changed: frozenset[str], *, same_release: bool) -> Iterator[Draft]:
    """The release and what it brought are bad, and its verification here no longer counts.

    Where the way back is the same release run in another way, only this candidate is bad.
    """
    promotion = turn.promotion
    digests: list[JsonValue] = [promotion.candidate if same_release else promotion.release, *sorted(changed)]
    bad: dict[str, JsonValue] = {"digests": digests, "promotion": promotion.id, "because": because}
    yield turn.draft("release.marked_bad", bad, once="bad")
    revoked: dict[str, JsonValue] = {
        "environment": promotion.environment,
        "release": promotion.release,
        "because": because,
    }
    if not same_release and _verified(turn.connections, promotion):
        yield turn.draft("verification.revoked", revoked, once="revoked")


def _verified(connections: Connections, promotion: Promotion) -> Sequence[object]:
    return connections.ledger.rows(
        "verified", project=promotion.project, environment=promotion.environment, release=promotion.release
    )


def _incident(turn: Turn, identity: str, because: str) -> Draft:
    body: dict[str, JsonValue] = {
        "id": identity,
        "environment": turn.promotion.environment,
        "caused_by": turn.promotion.id,
        "services": [one.service for one in turn.promotion.changes],
        "because": because,
        "detected_by": "verification",
    }
    return turn.draft("incident.opened", body, once="incident")


def _open_incidents(turn: Turn, *states: str) -> list[dict[str, JsonValue]]:
    return turn.connections.ledger.rows(
        "incidents",
        project=turn.promotion.project,
        environment=turn.promotion.environment,
        state=list(states),
    )


def _mended(turn: Turn, *, resolved: bool) -> Iterator[Draft]:
    """Incidents of this environment are mitigated once something else is live, resolved once that is good."""
    for incident in _open_incidents(turn, "open"):
        if incident["caused_by"] != turn.promotion.id:
            body: dict[str, JsonValue] = {"id": incident["id"], "mitigated_by": turn.promotion.id}
            yield turn.draft("incident.mitigated", body, once=f"mitigated/{incident['id']}")
    if not resolved:
        return
    for incident in _open_incidents(turn, "open", "mitigated"):
        if incident["caused_by"] != turn.promotion.id:
            body = {"id": incident["id"], "resolved_by": turn.promotion.id}
            yield turn.draft("incident.resolved", body, once=f"resolved/{incident['id']}")


def _restored(turn: Turn) -> Iterator[Draft]:
    """Failed deployments that this promotion takes out of users' way: what it rolls back, or what broke here before."""
    broken = {str(one["caused_by"]) for one in _open_incidents(turn, "open", "mitigated")}
    broken |= {turn.promotion.rollback_of or ""}
    causes: list[JsonValue] = [*sorted(broken - {turn.promotion.id})]
    for row in turn.connections.ledger.rows("deployments", promotion=causes):
        if row.get("exposed_at") and not row.get("restored_at"):
            body: dict[str, JsonValue] = {"promotion": row["promotion"], "service": row["service"]}
            body["restored_by"] = turn.promotion.id
            yield turn.draft("deployment.restored", body, once=f"restored/{row['id']}")
