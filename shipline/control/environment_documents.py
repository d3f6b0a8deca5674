"""Environments as the API shows them: what runs where by the ledger, and how it is by looking."""

from collections.abc import Mapping
from contextlib import suppress

from pydantic import JsonValue

from delivery.connections import Connections
from delivery.errors import DeliveryError
from delivery.promoting.accepting import AcceptedPolicy, policies_in_force
from delivery.promoting.candidates import candidate_of
from delivery.promoting.live import live_services
from delivery.promoting.place_facts import open_incidents
from delivery.promoting.turn import read_promotions
from delivery.promotion import FINAL, Phase, Promotion
from delivery.rollout import HealthState, Observed, Target, misplaced
from shipline.control.standing import standing_now

_INCIDENT = (
    *("id", "environment", "caused_by", "because", "services", "state"),
    *("opened_at", "mitigated_at", "mitigated_by", "resolved_at", "resolved_by"),
)
_WORST_FIRST = (HealthState.DOWN, HealthState.DEGRADED, HealthState.PROGRESSING, HealthState.HEALTHY)


def environment_document(connections: Connections, project: str, policy: AcceptedPolicy) -> dict[str, JsonValue]:
    """One environment of `shipline status --json`."""
    observed = _observe(connections, Target(project, policy.environment))
    live = live_services(connections, project, policy.environment)
    return {
        "name": policy.environment,
        "tier": policy.terms.tier,
        "services": [service_document(connections, row, observed) for _, row in sorted(live.items())],
        "waiting": [waiting_document(connections, one) for one in unfinished(connections, project, policy.environment)],
        "incidents": [str(row["id"]) for row in open_incidents(connections, project, policy.environment)],
        "hold": hold_document(connections, project, policy.environment),
        "drift": [*drift(live, observed), *_elsewhere(connections, live, observed)],
    }


def _observe(connections: Connections, target: Target) -> Observed | None:
    """What is there now; None when it cannot be seen."""
    try:
        return connections.deployer.observe(target)
    except DeliveryError:
        return None


def service_document(
    connections: Connections, row: Mapping[str, JsonValue], observed: Observed | None
) -> dict[str, JsonValue]:
    """One service: what the ledger says runs, and its health as seen at this moment."""
    service, artifact = str(row["service"]), str(row["artifact"])
    before = connections.ledger.rows("deployments", id=row["previous"]) if row.get("previous") else []
    return {
        "name": service,
        "digest": artifact,
        "version": row["version"],
        "revision": row["revision"],
        "live_from": row["live_from"],
        "health": health_of(observed, service, artifact).value,
        "address": observed.addresses.get(service) if observed else None,
        "previous": before[0]["artifact"] if before else None,
        "promotion": row["promotion"],
        "release": row["release"],
    }


def health_of(observed: Observed | None, service: str, artifact: str) -> HealthState:
    """The worst of the instances that serve it."""
    if observed is None:
        return HealthState.UNKNOWN
    serving = (one for one in observed.instances if one.serves and one.service == service)
    states = {one.health for one in serving if one.artifact == artifact}
    if not states:
        return HealthState.DOWN
    return next((state for state in _WORST_FIRST if state in states), HealthState.UNKNOWN)


def drift(live: Mapping[str, Mapping[str, JsonValue]], observed: Observed | None) -> list[JsonValue]:
    """Where what is seen differs from what the ledger says: an empty list means that they agree."""
    if observed is None:
        return ["the deployer cannot be asked"] if live else []
    found: list[JsonValue] = []
    for service in sorted(live.keys() | observed.weights.keys()):
        serving = {str(digest) for digest, percent in observed.weights.get(service, {}).items() if percent > 0}
        recorded = {str(live[service]["artifact"])} if service in live else set()
        if serving != recorded:
            found.append(f"{service}: serves {_named(serving)}, the ledger says {_named(recorded)}")
    return found


def _elsewhere(
    connections: Connections, live: Mapping[str, Mapping[str, JsonValue]], observed: Observed | None
) -> tuple[str, ...]:
    """Services that are not at the address that what went live here last gives them."""
    if observed is None or not live:
        return ()
    newest = max(live.values(), key=lambda row: str(row["live_from"]))
    with suppress(DeliveryError):
        [promotion] = read_promotions(connections, id=newest["promotion"])
        return misplaced(candidate_of(connections, promotion).workloads, observed)
    return ()


def _named(digests: set[str]) -> str:
    return ", ".join(sorted(digests)) or "nothing"


def unfinished(connections: Connections, project: str, environment: str) -> list[Promotion]:
    """Promotions on their way into an environment, in order of request."""
    phases = [phase.value for phase in Phase if phase not in FINAL]
    return read_promotions(connections, project=project, environment=environment, phase=phases)


def waiting_document(connections: Connections, promotion: Promotion) -> dict[str, JsonValue]:
    """Why a promotion is not done yet, since when, and what would let it go on."""
    stands = standing_now(connections, promotion)
    because = f"{promotion.phase}: {'; '.join(stands.reasons)}"
    return {"id": promotion.id, "because": because, **stands.times()}


def hold_document(connections: Connections, project: str, environment: str) -> JsonValue:
    """Who holds the environment and why; None when nobody does."""
    rows = connections.ledger.rows("holds", project=project, environment=environment, held=True)
    return {"reason": rows[0]["reason"], "by": rows[0]["by"], "at": rows[0]["at"]} if rows else None


def incident_document(row: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """One line of `shipline incidents --json`."""
    return {name: row.get(name) for name in _INCIDENT}


def status_documents(connections: Connections, project: str, environment: str | None) -> list[JsonValue]:
    """Every environment of a project, or the one that is asked for."""
    policies = policies_in_force(connections, project)
    return [
        environment_document(connections, project, one) for one in policies if environment in {None, one.environment}
    ]
