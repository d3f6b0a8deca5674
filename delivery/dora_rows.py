"""What DORA's metrics are computed from: documents of the projections, read into frozen rows.

The fields read here are the contract with whoever writes `deployment.*` and `incident.*` entries
(`docs/reference/dora.md` lists them). Times are RFC 3339 text in documents and aware in rows. What
another system's export does not know may be missing: a deployment that only has `live_at` was
exposed then, a missing `tier` is the environment's name, a missing `kind` is a change, and a missing
`planned` follows from the kind.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, cast, get_args

from pydantic import JsonValue

from delivery.errors import VerificationError

Row = Mapping[str, JsonValue]
DeploymentKind = Literal["change", "rollback", "hotfix", "config", "redeploy"]
UNPLANNED_KINDS = frozenset({"rollback", "hotfix"})


@dataclass(frozen=True, slots=True)
class Deployment:
    """One service that one promotion brought to one environment."""

    id: str
    promotion: str
    service: str
    environment: str
    tier: str
    kind: DeploymentKind = "change"
    planned: bool = True
    artifact: str | None = None
    revision: str | None = None
    previous: str | None = None
    """The deployment that was live before; None for the first one ever."""
    result: str | None = None
    """`succeeded`, `failed` or `rolled back`; None while it is under way."""
    rollback_of: str | None = None
    """The promotion (or deployment) that this one undoes or fixes."""
    caused_by_incident: str | None = None
    started_at: datetime | None = None
    exposed_at: datetime | None = None
    """First user traffic: from here on it counts."""
    live_at: datetime | None = None
    """All traffic."""
    restored_at: datetime | None = None
    """Users are well served again after it failed."""

    @property
    def in_production(self) -> bool:
        """Whether DORA looks at it: production tier, and not the same candidate applied again."""
        return self.tier == "production" and self.kind != "redeploy"

    @property
    def is_rework(self) -> bool:
        """Whether nobody had planned it: it answers something that went wrong."""
        return self.kind in UNPLANNED_KINDS or not self.planned

    @property
    def attempted_at(self) -> datetime | None:
        """When the attempt began, as far as is known."""
        return self.started_at or self.exposed_at

    def is_meant_by(self, reference: str | None) -> bool:
        """Whether a reference to a promotion or a deployment points here."""
        return reference is not None and reference in {self.id, self.promotion}


@dataclass(frozen=True, slots=True)
class NewCommit:
    """A commit that a deployment brought and its predecessor did not have."""

    deployment: str
    id: str
    committed_at: datetime
    parents: int = 1
    author: str = ""

    @property
    def row_id(self) -> str:
        """How results point to it: `deployment/commit`."""
        return f"{self.deployment}/{self.id}"


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that hurt users and what caused it."""

    id: str
    opened_at: datetime
    environment: str | None = None
    services: frozenset[str] = frozenset()
    """Empty: every service of the promotion that caused it."""
    caused_by: str | None = None
    """A promotion (or a deployment)."""
    mitigated_at: datetime | None = None
    resolved_at: datetime | None = None

    @property
    def ended_at(self) -> datetime | None:
        """When users were well served again."""
        return self.mitigated_at or self.resolved_at

    def blames(self, deployment: Deployment) -> bool:
        """Whether this deployment caused it."""
        return deployment.is_meant_by(self.caused_by) and (not self.services or deployment.service in self.services)


@dataclass(frozen=True, slots=True)
class History:
    """Everything known, not yet narrowed to a window, an environment or a service."""

    deployments: tuple[Deployment, ...] = ()
    commits: tuple[NewCommit, ...] = ()
    incidents: tuple[Incident, ...] = ()


def read_history(deployments: Iterable[Row], commits: Iterable[Row], incidents: Iterable[Row]) -> History:
    """The rows of the projections of these names; VerificationError where one cannot be read."""
    return History(
        tuple(_deployment(row) for row in deployments),
        tuple(_commit(row) for row in commits),
        tuple(_incident(row) for row in incidents),
    )


def _deployment(row: Row) -> Deployment:
    kind = _kind(row)
    live_at = _time(row, "live_at")
    planned = row.get("planned")
    environment = _needed(row, "environment")
    return Deployment(
        id=_needed(row, "id"),
        promotion=_needed(row, "promotion"),
        service=_needed(row, "service"),
        environment=environment,
        tier=_text(row, "tier") or environment,
        kind=kind,
        planned=kind not in UNPLANNED_KINDS if planned is None else bool(planned),
        artifact=_text(row, "artifact"),
        revision=_text(row, "revision"),
        previous=_text(row, "previous"),
        result=_text(row, "result"),
        rollback_of=_text(row, "rollback_of"),
        caused_by_incident=_text(row, "caused_by_incident"),
        started_at=_time(row, "started_at"),
        exposed_at=_time(row, "exposed_at") or live_at,
        live_at=live_at,
        restored_at=_time(row, "restored_at"),
    )


def _commit(row: Row) -> NewCommit:
    return NewCommit(
        deployment=_needed(row, "deployment"),
        id=_needed(row, "id"),
        committed_at=_needed_time(row, "committed_at"),
        parents=_count(row.get("parents")),
        author=_text(row, "author") or "",
    )


def _incident(row: Row) -> Incident:
    return Incident(
        id=_needed(row, "id"),
        opened_at=_needed_time(row, "opened_at"),
        environment=_text(row, "environment"),
        services=_services(row),
        caused_by=_text(row, "caused_by"),
        mitigated_at=_time(row, "mitigated_at"),
        resolved_at=_time(row, "resolved_at"),
    )


def _count(parents: JsonValue) -> int:
    """Parents are given as a number or as their ids; unknown means an ordinary commit."""
    if isinstance(parents, list):
        return len(parents)
    return parents if isinstance(parents, int) else 1


def _services(row: Row) -> frozenset[str]:
    several = row.get("services")
    one = _text(row, "service")
    return frozenset(str(name) for name in several) if isinstance(several, list) else frozenset({one} if one else ())


def _kind(row: Row) -> DeploymentKind:
    kind = _text(row, "kind") or "change"
    if kind not in get_args(DeploymentKind):
        raise _unreadable(row, "kind", f"must be one of {', '.join(get_args(DeploymentKind))}, got '{kind}'")
    return cast("DeploymentKind", kind)


def _text(row: Row, name: str) -> str | None:
    value = row.get(name)
    return None if value is None else str(value)


def _needed(row: Row, name: str) -> str:
    value = _text(row, name)
    if not value:
        raise _unreadable(row, name, "is missing")
    return value


def _time(row: Row, name: str) -> datetime | None:
    text = _text(row, name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _unreadable(row, name, f"must be an RFC 3339 time, got '{text}'") from error
    if moment.tzinfo is None:
        raise _unreadable(row, name, f"must have a time zone, got '{text}'")
    return moment.astimezone(UTC)


def _needed_time(row: Row, name: str) -> datetime:
    moment = _time(row, name)
    if moment is None:
        raise _unreadable(row, name, "is missing")
    return moment


def _unreadable(row: Row, name: str, cause: str) -> VerificationError:
    return VerificationError(
        f"reading row '{row.get('id', '?')}' for the DORA metrics: {name} {cause}",
        hint="correct the import that wrote it; entries of the ledger stay as they are, so import the fact again",
    )
