"""The rows behind DORA's metrics, as documents: every number leads to them by id."""

from datetime import UTC, datetime

from pydantic import JsonValue

from delivery.dora_facts import FAILED_RESULTS, Facts, LandedCommit
from delivery.dora_rows import Deployment, Incident
from delivery.ledger import utc_text


def deployment_row(one: Deployment, facts: Facts) -> dict[str, JsonValue]:
    """A deployment, whether it failed and why."""
    failure = facts.failures.get(one.id)
    return {
        "id": one.id,
        "table": "deployments",
        "promotion": one.promotion,
        "service": one.service,
        "environment": one.environment,
        "kind": one.kind,
        "revision": one.revision,
        "artifact": one.artifact,
        "result": one.result,
        "rework": one.is_rework,
        "failed": failure is not None,
        "failed_because": list(failure.because) if failure else [],
        "failed_before_exposure": one.exposed_at is None and one.result in FAILED_RESULTS,
        "started_at": _text(one.started_at),
        "exposed_at": _text(one.exposed_at),
        "live_at": _text(one.live_at),
        "restored_at": _text(failure.restored_at if failure else None),
    }


def commit_row(one: LandedCommit) -> dict[str, JsonValue]:
    """A commit, when it first reached users, and when it came to stay."""
    return {
        "id": one.commit.row_id,
        "table": "commits",
        "commit": one.commit.id,
        "deployment": one.deployment.id,
        "service": one.deployment.service,
        "environment": one.deployment.environment,
        "committed_at": _text(one.commit.committed_at),
        "live_at": _text(one.live_at),
        "durable_deployment": one.durable.id if one.durable else None,
        "durable_live_at": _text(one.durable.live_at if one.durable else None),
    }


def incident_row(one: Incident) -> dict[str, JsonValue]:
    """An incident and its times."""
    return {
        "id": one.id,
        "table": "incidents",
        "caused_by": one.caused_by,
        "environment": one.environment,
        "opened_at": _text(one.opened_at),
        "mitigated_at": _text(one.mitigated_at),
        "resolved_at": _text(one.resolved_at),
    }


def _text(moment: datetime | None) -> str | None:
    return utc_text(moment.astimezone(UTC)) if moment else None
