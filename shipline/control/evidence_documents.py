"""Evidence: from a digest to the commit, the run, the people who said yes and the environments that verified it."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from delivery.approval import Approval
from delivery.artifact import is_digest
from delivery.connections import Connections
from delivery.errors import NotFoundError
from delivery.ledger import utc_text
from delivery.promoting.approval_facts import approvals_of_each
from delivery.promoting.turn import read_promotions
from delivery.promotion import Promotion

_ARTIFACT = (
    "service",
    "digest",
    "build_key",
    "revision",
    "origin",
    "run",
    "media_type",
    "platform",
    "size",
    "built_at",
)
_RELEASE = ("digest", "revision", "version", "services", "created_at")


def evidence_document(connections: Connections, project: str, identity: str) -> dict[str, JsonValue]:
    """Of an artifact or a release by its digest, or of one promotion by its id; NotFoundError when it is neither.

    `{subject, artifacts, releases, promotions: [{id, environment, approvals, ...}], verified}`; artifacts and releases
    say whether they are `unprotected`.
    """
    releases = _releases(connections, project, identity)
    if not releases:
        hint = "give the digest of an artifact or a release, or the id of a promotion; see: shipline history"
        raise NotFoundError(f"no evidence of '{identity}' in {project}", hint=hint)
    found = {str(one["digest"]): one for one in releases}
    digests: list[JsonValue] = [*sorted(found)]
    promotions = read_promotions(connections, project=project, release=digests)
    if not is_digest(identity):
        promotions = [one for one in promotions if one.id == identity]
    return {
        "subject": identity,
        "artifacts": [*_artifacts(connections, project, releases, identity)],
        "releases": [{**{name: one.get(name) for name in _RELEASE}, **_protection(one)} for one in releases],
        "promotions": [*_promotions(connections, project, promotions)],
        "verified": [
            {name: row.get(name) for name in ("environment", "release", "verified_at", "revoked_at", "revoked_because")}
            for row in connections.ledger.rows("verified", project=project, release=digests)
        ],
    }


def _releases(connections: Connections, project: str, identity: str) -> list[dict[str, JsonValue]]:
    """What it is, or is part of."""
    ledger = connections.ledger
    if not is_digest(identity):
        promoted: list[JsonValue] = [one.release for one in read_promotions(connections, id=identity, project=project)]
        return ledger.rows("releases", project=project, digest=promoted) if promoted else []
    rows = ledger.rows("releases", order="created_at", project=project)
    return [row for row in rows if row["digest"] == identity or identity in _digests(row)]


def _digests(release: Mapping[str, JsonValue]) -> set[str]:
    services = release.get("services")
    each = services.values() if isinstance(services, dict) else ()
    return {str(one["artifact"]) for one in each if isinstance(one, dict)}


def _artifacts(
    connections: Connections, project: str, releases: list[dict[str, JsonValue]], identity: str
) -> Iterator[JsonValue]:
    """The one that was asked for, or all of what was."""
    wanted = {digest for one in releases for digest in _digests(one)}
    digests: list[JsonValue] = [identity] if identity in wanted else [*sorted(wanted)]
    for row in connections.ledger.rows("artifacts", project=project, digest=digests):
        yield {**{name: row.get(name) for name in _ARTIFACT}, **_protection(row)}


def _protection(row: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Whether a step that made it could see or change more than it was given; all could before that was recorded."""
    return {"unprotected": row.get("unprotected") is not False}


def _promotions(connections: Connections, project: str, promotions: list[Promotion]) -> Iterator[JsonValue]:
    approvals = approvals_of_each(connections, project, promotions)
    for one in promotions:
        yield {
            "id": one.id,
            "environment": one.environment,
            "kind": one.kind.value,
            "state": one.phase.value,
            "release": one.release,
            "candidate": one.candidate,
            "policy_version": one.policy_version,
            "requested_by": one.requested_by.subject,
            "live_from": utc_text(one.live_at) if one.live_at else None,
            "approvals": [_approval(each) for each in approvals[one.id]],
        }


def _approval(one: Approval) -> JsonValue:
    return {
        "id": one.id,
        "decision": one.decision,
        "approver": one.approver,
        "evidence": one.evidence,
        "roles": dict(one.roles),
        "at": utc_text(one.at),
        "comment": one.comment,
        "statement": one.statement,
        "signature": one.signature,
        "key": one.key,
    }
