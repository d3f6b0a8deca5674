"""Approving: what a person is shown, and how a decision enters the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import uuid6
from pydantic import JsonValue, TypeAdapter

from delivery.actor import Actor
from delivery.approval import Approval
from delivery.configuration import configuration_changes
from delivery.connections import Connections
from delivery.gates.verdict import short
from delivery.ledger import Draft, utc_text
from delivery.promoting.accepting import policy_version
from delivery.promoting.candidates import candidate_of, release_of
from delivery.promoting.changes import service_changes, services_gone
from delivery.promoting.live import live_services
from delivery.promoting.new_commits import NewCommits
from delivery.promoting.turn import Turn, read_promotions
from delivery.promotion import Phase, Promotion

MOST_COMMITS = 50
_APPROVAL: TypeAdapter[Approval] = TypeAdapter(Approval)


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's answer to one promotion."""

    decision: Literal["approve", "reject"]
    person: Actor
    comment: str = ""
    signed: "Signed | None" = None
    """What proves it when the evidence is a signature."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement, its signature in armored form, and the fingerprint of the key that made it."""

    statement: str
    signature: str
    key: str


def approval_of(promotion: Promotion, decision: Decision, roles: Mapping[str, str], at: datetime) -> Approval:
    """The decision as it would stand in the ledger, about exactly the candidate that the promotion has."""
    signed = decision.signed
    return Approval(
        id=str(uuid6.uuid7()),
        promotion=promotion.id,
        environment=promotion.environment,
        candidate=promotion.candidate,
        decision=decision.decision,
        approver=decision.person.subject,
        evidence=decision.person.evidence,
        at=at,
        comment=decision.comment,
        local=decision.person.kind == "local-user",
        roles=roles,
        statement=signed.statement if signed else None,
        signature=signed.signature if signed else None,
        key=signed.key if signed else None,
    )


def decision_draft(promotion: Promotion, approval: Approval, person: Actor) -> Draft:
    """The decision as a fact."""
    body: dict[str, JsonValue] = {**_APPROVAL.dump_python(approval, mode="json"), "release": promotion.release}
    del body["at"]  # the entry's own
    kind = "approval.given" if approval.decision == "approve" else "approval.rejected"
    return Draft(kind, body, person, approval.at)


def wait_for_person(turn: Turn, because: str, flow_run: str) -> Turn:
    """Enter Waiting with the next form; the time that approvals have began with the first one."""
    promotion, connections = turn.promotion, turn.connections
    policy = policy_version(connections, promotion.project, promotion.environment, promotion.policy_version)
    limit = timedelta(seconds=policy.terms.approval_expires_after_seconds)
    expires = promotion.expires_at or connections.clock.now() + limit
    fields: dict[str, JsonValue] = {
        "expires_at": utc_text(expires),
        "passes": promotion.passes + 1,
        "flow_run": flow_run,
    }
    return turn.write(turn.moved(Phase.WAITING, because, **fields))


def was_asked(promotion: Promotion, flow_run: str) -> bool:
    """Whether this very flow run waits with the form, so that its answer can be read."""
    return promotion.phase is Phase.WAITING and promotion.flow_run == flow_run


def seconds_left(promotion: Promotion, now: datetime) -> int:
    """Until the approvals of a waiting promotion expire; 0 when they have."""
    left = (promotion.expires_at - now).total_seconds() if promotion.expires_at else 0.0
    return max(0, int(left))


def form_key(promotion: Promotion) -> str:
    """Names one showing of the approval form, so that an answer is for this one only."""
    return f"{promotion.id}-{promotion.passes}"


def what_changes(connections: Connections, promotion: Promotion) -> dict[str, JsonValue]:
    """Everything an approver needs to know, against what runs there now.

    `{version, services: [{name, from, to}], gone: [], commits: {service: [..]}, configuration: [lines]}`
    """
    changes = promotion.changes or service_changes(connections, promotion)
    commits: dict[str, JsonValue] = {}
    new = NewCommits(connections, promotion)
    for change in changes:
        found = new.of(change)
        commits[change.service] = [f"{one.id[:10]} {one.subject} ({one.author})" for one in found[:MOST_COMMITS]]
    return {
        "version": release_of(connections, promotion.project, promotion.release).version,
        "services": [{"name": one.service, "from": one.previous_artifact, "to": one.artifact} for one in changes],
        "gone": list(services_gone(connections, promotion)),
        "commits": commits,
        "configuration": list(_configuration_lines(connections, promotion)),
    }


def _configuration_lines(connections: Connections, promotion: Promotion) -> list[str]:
    """How the way services run differs from the candidate that went live here last."""
    live = live_services(connections, promotion.project, promotion.environment)
    new = {one.service: one.run for one in candidate_of(connections, promotion).workloads}
    if not live:
        return []
    newest = max(live.values(), key=lambda row: str(row["live_from"]))
    before = read_promotions(connections, id=newest["promotion"])
    old = {one.service: one.run for one in candidate_of(connections, before[0]).workloads} if before else {}
    return configuration_changes(old, new)


def approval_page(connections: Connections, promotion: Promotion) -> str:
    """What stands above the form: the release, its digests, the commits and the configuration changes."""
    shown = what_changes(connections, promotion)
    lines = [
        f"## Promote {promotion.project} {shown['version']} to {promotion.environment}",
        f"Release `{promotion.release}`, candidate `{promotion.candidate}`.",
        f"Requested by {promotion.requested_by.subject} at {utc_text(promotion.requested_at)}.",
        *_service_lines(shown),
        *_configuration_section(shown),
    ]
    if promotion.expires_at:
        lines.append(f"Expires at {utc_text(promotion.expires_at)}. An approval is for this candidate only.")
    return "\n\n".join(lines)


def _service_lines(shown: dict[str, JsonValue]) -> list[str]:
    services, commits, gone = shown["services"], shown["commits"], shown["gone"]
    if not isinstance(services, list) or not isinstance(commits, dict) or not isinstance(gone, list):
        return []
    found = [] if services or gone else ["No service changes."]
    for one in services:
        if isinstance(one, dict):
            was = f"`{short(str(one['from']))}`" if one["from"] else "nothing"
            found.append(f"### {one['name']}\n{was} becomes `{one['to']}`")
            found.append(_bullets(commits.get(str(one["name"])), "No new commits."))
    return found + [f"### {name}\nis no longer part of the release and stops" for name in gone]


def _bullets(lines: JsonValue, otherwise: str) -> str:
    return "\n".join(f"- {line}" for line in lines) if isinstance(lines, list) and lines else otherwise


def _configuration_section(shown: dict[str, JsonValue]) -> list[str]:
    lines = shown["configuration"]
    if not isinstance(lines, list) or not lines:
        return ["Configuration is unchanged."]
    return ["### Configuration", "\n".join(f"- {line}" for line in lines)]
