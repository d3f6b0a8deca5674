"""What is live in an environment, and what releases hold, as the ledger knows it."""

from pydantic import JsonValue

from delivery.connections import Connections
from delivery.promotion import Promotion


def release_services(connections: Connections, project: str, release: str) -> dict[str, dict[str, JsonValue]]:
    """Service name to {artifact, definition, migrations, revision} of a release; empty when it is unknown."""
    return services_of_releases(connections, project, frozenset({release})).get(release, {})


def services_of_releases(
    connections: Connections, project: str, releases: frozenset[str]
) -> dict[str, dict[str, dict[str, JsonValue]]]:
    """By release, as `release_services`, all asked for at once."""
    digests: list[JsonValue] = [*sorted(releases)]
    rows = connections.ledger.rows("releases", project=project, digest=digests)
    return {str(row["digest"]): _services(row.get("services")) for row in rows}


def _services(found: JsonValue) -> dict[str, dict[str, JsonValue]]:
    services = found if isinstance(found, dict) else {}
    return {name: one for name, one in services.items() if isinstance(one, dict)}


def digests_of(connections: Connections, promotion: Promotion) -> frozenset[str]:
    """Everything that may be marked bad about a promotion: its candidate, its release and the artifacts in it."""
    services = release_services(connections, promotion.project, promotion.release)
    artifacts = (str(one["artifact"]) for one in services.values())
    return frozenset({promotion.candidate, promotion.release, *artifacts})


def live_services(connections: Connections, project: str, environment: str) -> dict[str, dict[str, JsonValue]]:
    """Service name to what is live in an environment."""
    rows = connections.ledger.rows("running", project=project, environment=environment, gone_at=None)
    return {str(row["service"]): row for row in rows}
