"""What conditions in CEL can ask about: a promotion and its surroundings as JSON with times."""

from collections.abc import Iterable
from datetime import datetime

from pydantic import JsonValue

from delivery.connections import Connections
from delivery.gates.conditions import Facts
from delivery.promoting.candidates import release_of
from delivery.promoting.place_facts import open_incidents, results_of
from delivery.promotion import Promotion


def facts_of(
    connections: Connections,
    promotion: Promotion,
    tier: str,
    changes: Iterable[dict[str, JsonValue]],
    now: datetime,
) -> Facts:
    """By the names of `delivery.gates.conditions.FACTS`."""
    return {
        "promotion": _promotion(promotion, tier),
        "release": _release(connections, promotion),
        "changes": [*changes],
        "checks": {one.name: one.result for one in results_of(connections, promotion)},
        "incidents": [_incident(row) for row in open_incidents(connections, promotion.project, promotion.environment)],
        "now": now,
    }


def _promotion(promotion: Promotion, tier: str) -> dict[str, object]:
    return {
        "kind": promotion.kind.value,
        "environment": promotion.environment,
        "tier": tier,
        "requested_by": promotion.requested_by.subject,
        "requester": promotion.requested_by.kind,
        "requested_at": promotion.requested_at,
        "revision": promotion.configuration_revision,
        "replace": promotion.replace,
    }


def _release(connections: Connections, promotion: Promotion) -> dict[str, object]:
    release = release_of(connections, promotion.project, promotion.release)
    return {
        "digest": promotion.release,
        "version": release.version,
        "revision": release.revision,
        "services": sorted(release.services),
    }


def _incident(row: dict[str, JsonValue]) -> dict[str, object]:
    opened = datetime.fromisoformat(str(row["opened_at"]))
    return {"id": row["id"], "state": row["state"], "because": row.get("because") or "", "opened_at": opened}
