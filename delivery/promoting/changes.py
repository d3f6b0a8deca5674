"""What a promotion changes, service by service, and how the ledger tells it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from pydantic import JsonValue, TypeAdapter

from delivery.connections import Connections
from delivery.errors import DeliveryError
from delivery.ledger import Draft, utc_text
from delivery.promoting.accepting import policy_version
from delivery.promoting.candidates import candidate_of, run_digest
from delivery.promoting.live import live_services, release_services
from delivery.promoting.new_commits import NewCommits
from delivery.promoting.turn import Turn
from delivery.promotion import Kind, Promotion, ServiceChange
from delivery.source import Commit

_CHANGE: TypeAdapter[ServiceChange] = TypeAdapter(ServiceChange)
PLANNED = frozenset({Kind.CHANGE, Kind.CONFIG, Kind.REDEPLOY})


def service_changes(connections: Connections, promotion: Promotion) -> tuple[ServiceChange, ...]:
    """The services whose artifact or effective run differs from what is live now (all of them for a redeploy)."""
    live = live_services(connections, promotion.project, promotion.environment)
    services = release_services(connections, promotion.project, promotion.release)
    return tuple(
        _change(live.get(one.service), one.service, _as_promoted(promotion, services[one.service]), run_digest(one))
        for one in candidate_of(connections, promotion).workloads
        if promotion.kind is Kind.REDEPLOY or _differs(live.get(one.service), one.artifact, run_digest(one))
    )


def _as_promoted(promotion: Promotion, released: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """A released service at the revision that is promoted: a release may be made by several revisions."""
    return released if promotion.kind is Kind.ROLLBACK else {**released, "revision": promotion.configuration_revision}


def kind_by(promotion: Promotion, changes: Sequence[ServiceChange], gone: Sequence[str]) -> Kind:
    """The kind of a promotion by what it changes: a change of nothing but how services run is a `config`."""
    same = all(one.artifact == one.previous_artifact for one in changes)
    return Kind.CONFIG if promotion.kind is Kind.CHANGE and changes and same and not gone else promotion.kind


def services_gone(connections: Connections, promotion: Promotion) -> tuple[str, ...]:
    """Services that are live now and not in the release."""
    live = live_services(connections, promotion.project, promotion.environment)
    return tuple(sorted(live.keys() - release_services(connections, promotion.project, promotion.release).keys()))


def _differs(live: Mapping[str, JsonValue] | None, artifact: str, run: str) -> bool:
    return live is None or live["artifact"] != artifact or live["run"] != run


def _change(
    live: Mapping[str, JsonValue] | None,
    service: str,
    released: Mapping[str, JsonValue],
    run: str,
) -> ServiceChange:
    previous = (
        {
            "previous": f"{live['promotion']}/{service}",
            "previous_artifact": live["artifact"],
            "previous_revision": live["revision"],
        }
        if live
        else {}
    )
    fields = {
        "service": service,
        "run": run,
        **{name: released[name] for name in ("artifact", "definition", "revision")},
    }
    return _CHANGE.validate_python({**fields, **previous})


def changes_document(changes: tuple[ServiceChange, ...]) -> list[JsonValue]:
    """Changes as a promotion's document keeps them."""
    return [dict(asdict(one)) for one in changes]


def deployment_bodies(turn: Turn) -> Iterator[tuple[ServiceChange, dict[str, JsonValue]]]:
    """Every change with the fields of its deployment's entries; what they share is looked up once."""
    shared = _shared_fields(turn)
    for change in turn.promotion.changes:
        own: dict[str, JsonValue] = {
            "service": change.service,
            "artifact": change.artifact,
            "definition": change.definition,
            "run": change.run,
            "revision": change.revision,
            "previous": change.previous,
        }
        yield change, {**shared, **own}


def _shared_fields(turn: Turn) -> dict[str, JsonValue]:
    promotion, connections = turn.promotion, turn.connections
    policy = policy_version(connections, promotion.project, promotion.environment, promotion.policy_version)
    releases = connections.ledger.rows("releases", project=promotion.project, digest=promotion.release)
    return {
        "promotion": promotion.id,
        "environment": promotion.environment,
        "tier": policy.terms.tier,
        "release": promotion.release,
        "version": releases[0].get("version") if releases else None,
        "kind": promotion.kind.value,
        "planned": promotion.kind in PLANNED,
        "requested_at": utc_text(promotion.requested_at),
        "rollback_of": promotion.rollback_of,
        "caused_by_incident": promotion.caused_by_incident,
    }


def live_drafts(turn: Turn) -> Iterator[Draft]:
    """Every changed service is exposed and live, with the commits that came with it; the others are gone."""
    commits = NewCommits(turn.connections, turn.promotion)
    for change, body in deployment_bodies(turn):
        yield turn.draft("deployment.exposed", body, once=f"exposed/{change.service}")
        yield turn.draft("deployment.live", body, once=f"live/{change.service}")
        yield turn.draft("deployment.commits", _commits_body(turn, change, commits), once=f"commits/{change.service}")
    for service in turn.promotion.gone:
        fields: dict[str, JsonValue] = {"environment": turn.promotion.environment, "service": service}
        yield turn.draft("service.gone", {"promotion": turn.promotion.id, **fields}, once=f"gone/{service}")


def finished_drafts(turn: Turn, result: str) -> Iterator[Draft]:
    """Every deployment of the promotion ended, with its result: succeeded, failed or rolled back."""
    for change, body in deployment_bodies(turn):
        yield turn.draft("deployment.finished", {**body, "result": result}, once=f"finished/{change.service}")


def _commits_body(turn: Turn, change: ServiceChange, commits: NewCommits) -> dict[str, JsonValue]:
    """The commits newly live by a deployment; none for a first deployment or a rollback, and it says so."""
    known: list[JsonValue] = []
    flag: str | None = None
    if change.previous_revision is None:
        flag = "seed"
    elif turn.promotion.kind is not Kind.ROLLBACK:
        try:
            known = [_commit(one) for one in commits.of(change)]
        except DeliveryError as error:
            flag = f"unknown: {error.message}"
    return {
        "deployment": f"{turn.promotion.id}/{change.service}",
        "service": change.service,
        "environment": turn.promotion.environment,
        "commits": known,
        "flag": flag,
    }


def _commit(commit: Commit) -> JsonValue:
    return {
        "id": commit.id,
        "parents": len(commit.parents),
        "author": commit.author,
        "email": commit.email,
        "subject": commit.subject,
        "authored_at": utc_text(commit.authored_at),
        "committed_at": utc_text(commit.committed_at),
    }
