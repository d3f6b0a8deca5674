"""What is known of a promotion's environment and of its checks, for gates that ask about them."""

from datetime import datetime, timedelta

from pydantic import JsonValue, TypeAdapter

from delivery.checks import CheckResult
from delivery.config_gates import Check, Quota
from delivery.connections import Connections
from delivery.gates.checks import RequiredCheck
from delivery.gates.quota import UNCOUNTED, Allowance
from delivery.gates.verdict import short
from delivery.promoting.turn import read_promotions, unfinished_in_lane
from delivery.promotion import FORWARD, Kind, Promotion

_RESULT: TypeAdapter[CheckResult] = TypeAdapter(CheckResult)
_REVISION_LENGTH = 12


def open_incidents(connections: Connections, project: str, environment: str) -> list[dict[str, JsonValue]]:
    """Incidents that are not resolved, oldest first."""
    rows = connections.ledger.rows
    return rows("incidents", order="opened_at", project=project, environment=environment, state=["open", "mitigated"])


def required_checks(
    connections: Connections, promotion: Promotion, checks: tuple[Check, ...]
) -> tuple[RequiredCheck, ...]:
    """What policy asks for, each with its newest result."""
    found = {(one.name, one.of): one for one in results_of(connections, promotion)} if checks else {}
    return tuple(_required(promotion, check, found.get((check.name, check.of))) for check in checks)


def results_of(connections: Connections, promotion: Promotion) -> list[CheckResult]:
    """Every check's newest result for the revision that is promoted and for its release, oldest first."""
    subjects: list[JsonValue] = [promotion.configuration_revision, promotion.release]
    rows = connections.ledger.rows("checks", order="at", project=promotion.project, subject=subjects)
    return [_RESULT.validate_python(row) for row in rows]


def _required(promotion: Promotion, check: Check, result: CheckResult | None) -> RequiredCheck:
    commit = promotion.configuration_revision[:_REVISION_LENGTH]
    subject = f"--revision {commit}" if check.of == "revision" else f"--release {short(promotion.release)}"
    fresh = timedelta(seconds=check.fresh_seconds) if check.fresh_seconds is not None else None
    if result is None:
        return RequiredCheck(check.name, subject, fresh)
    return RequiredCheck(check.name, subject, fresh, result.result == "passed", result.at, result.summary)


def allowance_of(quota: Quota | None) -> Allowance | None:
    """A quota as the gate counts."""
    return Allowance(quota.promotions, timedelta(seconds=quota.per_seconds)) if quota else None


def rollouts_begun(connections: Connections, promotion: Promotion, quota: Quota | None) -> tuple[datetime, ...]:
    """When the newest counted rollouts in its environment began, without its own; as many as a quota needs to know."""
    if quota is None:
        return ()
    counted: list[JsonValue] = [kind.value for kind in Kind if kind not in UNCOUNTED]
    newest = read_promotions(
        connections,
        order="-started_at",
        limit=quota.promotions + 1,
        project=promotion.project,
        environment=promotion.environment,
        kind=counted,
    )
    return tuple(one.started_at for one in newest if one.started_at and one.id != promotion.id)


def requested_before(connections: Connections, promotion: Promotion) -> tuple[str, ...]:
    """Promotions of something new in its lane that were requested before it and are not done yet, oldest first."""
    lane = unfinished_in_lane(connections, promotion)
    return tuple(one.id for one in lane if one.kind in FORWARD and one.sequence < promotion.sequence)
