"""Projections: what the entries of the ledger mean, as documents that can be dropped and made anew.

`project` is pure: one entry in, the documents it touches out. A document is found by (table, key) and
holds plain JSON; merging replaces top-level fields. Bodies of entries use the names of the documents'
fields, so that this page is the one dictionary of both.

    table         key                          one per
    projects      slug                         registered project
    policies      project/environment/version  accepted policy of an environment
    revisions     project/commit               tested revision
    artifacts     project/build key            built artifact
    releases      project/digest               release
    promotions    id                           promotion
    approvals     id                           decision of a person
    effects       promotion/action             intent, and what was observed after it
    deployments   promotion/service            service exposed to users by a promotion (what DORA counts)
    commits       deployment/commit            commit newly live by a deployment
    running       project/environment/service  service live in an environment
    verified      project/environment/release  release verified in an environment
    bad           project/digest               release or artifact that no automation promotes
    incidents     id                           incident
    holds         project/environment          environment that no automation moves
    people        name                         person of the control plane
    keys          person/fingerprint           key with which a person signs
    tokens        id                           API token of a person, as a hash
    delegations   id                           roles that somebody lends for a while
    checks        project/of/subject/name      newest result of a check of a revision or release
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from delivery.ledger import Entry

Fields = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Merge:
    """Set these top-level fields of a document, making it if it is not there."""

    table: str
    key: str
    project: str
    fields: Fields = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fact:
    """An entry, read."""

    stream: str
    sequence: int
    kind: str
    at: str
    actor: Mapping[str, str]
    body: Fields

    @classmethod
    def read(cls, entry: Entry) -> "Fact":
        """The entry's content as values."""
        content = json.loads(entry.content)
        return cls(entry.stream, entry.sequence, content["kind"], content["at"], content["actor"], content["body"])

    def text(self, name: str) -> str:
        """A field of the body that must be a string."""
        return str(self.body[name])

    def texts(self, name: str) -> list[str]:
        """A field of the body that must be a list of strings."""
        found = self.body[name]
        return [str(one) for one in found] if isinstance(found, list) else []

    def documents(self, name: str) -> list[Fields]:
        """A field of the body that must be a list of objects."""
        found = self.body[name]
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def project(entry: Entry) -> tuple[Merge, ...]:
    """The documents that an entry touches; kinds from the future touch none."""
    fact = Fact.read(entry)
    rule = _RULES.get(fact.kind)
    return rule(fact) if rule else ()


Rule = Callable[[Fact], tuple[Merge, ...]]


def _merged(table: str, *parts: str, at: str) -> Rule:
    """A rule that merges the body into the document found by these fields of it, with the time."""

    def rule(fact: Fact) -> tuple[Merge, ...]:
        key = "/".join(fact.text(part) for part in parts)
        return (Merge(table, key, fact.stream, {**fact.body, at: fact.at}),)

    return rule


def _whole(table: str, *parts: str, at: str = "at") -> Rule:
    """A rule that keeps the body as the document, found by fields of the body (`@` is the project)."""

    def rule(fact: Fact) -> tuple[Merge, ...]:
        key = "/".join(fact.stream if part == "@" else fact.text(part) for part in parts)
        fields: Fields = {
            "project": fact.stream,
            **fact.body,
            at: fact.body.get(at, fact.at),
            "by": dict(fact.actor),
        }
        return (Merge(table, key, fact.stream, fields),)

    return rule


def _requested(fact: Fact) -> tuple[Merge, ...]:
    fields: Fields = {
        "project": fact.stream,
        "phase": "Requested",
        "because": "requested",
        "passes": 0,
        **fact.body,
        "requested_at": fact.at,
        "requested_by": dict(fact.actor),
        "sequence": fact.sequence,
    }
    return (Merge("promotions", fact.text("id"), fact.stream, fields),)


def _moved(fact: Fact) -> tuple[Merge, ...]:
    return (Merge("promotions", fact.text("id"), fact.stream, {**fact.body, "moved_at": fact.at}),)


def _effect(moment: str) -> Rule:
    def rule(fact: Fact) -> tuple[Merge, ...]:
        key = f"{fact.text('promotion')}/{fact.text('action')}"
        return (Merge("effects", key, fact.stream, {"project": fact.stream, **fact.body, moment: fact.at}),)

    return rule


def _deployment(moment: str) -> Rule:
    """A time of a deployment: `started_at`, `exposed_at`, `live_at`, `restored_at` or `finished_at`."""

    def rule(fact: Fact) -> tuple[Merge, ...]:
        key = f"{fact.text('promotion')}/{fact.text('service')}"
        fields: Fields = {
            "id": key,
            "project": fact.stream,
            **fact.body,
            moment: fact.body.get(moment, fact.at),
        }
        return (Merge("deployments", key, fact.stream, fields),)

    return rule


def _live(fact: Fact) -> tuple[Merge, ...]:
    environment, service = fact.text("environment"), fact.text("service")
    names = (
        "environment",
        "service",
        "artifact",
        "definition",
        "run",
        "release",
        "revision",
        "version",
        "promotion",
        "previous",
    )
    running: Fields = {name: fact.body.get(name) for name in names}
    return (
        *_deployment("live_at")(fact),
        Merge(
            "running",
            f"{fact.stream}/{environment}/{service}",
            fact.stream,
            {"project": fact.stream, **running, "live_from": fact.at, "gone_at": None},
        ),
    )


def _commits(fact: Fact) -> tuple[Merge, ...]:
    deployment = fact.text("deployment")
    commits = fact.documents("commits")
    merges = []
    for commit in commits:
        fields: Fields = {"project": fact.stream, "deployment": deployment, **commit}
        merges.append(Merge("commits", f"{deployment}/{commit['id']}", fact.stream, fields))
    return tuple(merges)


def _gone(fact: Fact) -> tuple[Merge, ...]:
    key = f"{fact.stream}/{fact.text('environment')}/{fact.text('service')}"
    return (Merge("running", key, fact.stream, {"gone_at": fact.at}),)


def _verified(fact: Fact) -> tuple[Merge, ...]:
    key = f"{fact.stream}/{fact.text('environment')}/{fact.text('release')}"
    return (
        Merge(
            "verified",
            key,
            fact.stream,
            {"project": fact.stream, **fact.body, "verified_at": fact.at, "revoked_at": None},
        ),
    )


def _revoked(fact: Fact) -> tuple[Merge, ...]:
    key = f"{fact.stream}/{fact.text('environment')}/{fact.text('release')}"
    return (Merge("verified", key, fact.stream, {"revoked_at": fact.at, "revoked_because": fact.body.get("because")}),)


def _bad(fact: Fact) -> tuple[Merge, ...]:
    digests = fact.texts("digests")
    common: Fields = {
        "project": fact.stream,
        "promotion": fact.body.get("promotion"),
        "because": fact.body.get("because"),
        "at": fact.at,
    }
    return tuple(
        Merge("bad", f"{fact.stream}/{digest}", fact.stream, {**common, "digest": digest}) for digest in digests
    )


def _incident(moment: str, state: str) -> Rule:
    def rule(fact: Fact) -> tuple[Merge, ...]:
        fields: Fields = {
            "project": fact.stream,
            **fact.body,
            "state": state,
            moment: fact.body.get(moment, fact.at),
        }
        return (Merge("incidents", fact.text("id"), fact.stream, fields),)

    return rule


def _hold(*, held: bool) -> Rule:
    def rule(fact: Fact) -> tuple[Merge, ...]:
        environment = fact.text("environment")
        reason = fact.body.get("reason") if held else None
        fields: Fields = {
            "project": fact.stream,
            "environment": environment,
            "held": held,
            "reason": reason,
            "at": fact.at,
            "by": dict(fact.actor),
        }
        return (Merge("holds", f"{fact.stream}/{environment}", fact.stream, fields),)

    return rule


_RULES: dict[str, Rule] = {
    "project.registered": _whole("projects", "slug", at="registered_at"),
    "policy.accepted": _whole("policies", "@", "environment", "version", at="accepted_at"),
    "revision.tested": _whole("revisions", "@", "commit", at="tested_at"),
    "artifact.built": _whole("artifacts", "@", "build_key", at="built_at"),
    "release.created": _whole("releases", "@", "digest", at="created_at"),
    "promotion.requested": _requested,
    "promotion.moved": _moved,
    "promotion.abort_requested": _moved,
    "promotion.reminded": _merged("promotions", "id", at="reminded_at"),
    "approval.given": _whole("approvals", "id"),
    "approval.rejected": _whole("approvals", "id"),
    "effect.intended": _effect("intended_at"),
    "effect.observed": _effect("observed_at"),
    "deployment.started": _deployment("started_at"),
    "deployment.exposed": _deployment("exposed_at"),
    "deployment.live": _live,
    "deployment.restored": _deployment("restored_at"),
    "deployment.finished": _deployment("finished_at"),
    "deployment.commits": _commits,
    "service.gone": _gone,
    "release.verified": _verified,
    "verification.revoked": _revoked,
    "release.marked_bad": _bad,
    "incident.opened": _incident("opened_at", "open"),
    "incident.mitigated": _incident("mitigated_at", "mitigated"),
    "incident.resolved": _incident("resolved_at", "resolved"),
    "environment.held": _hold(held=True),
    "check.reported": _whole("checks", "@", "of", "subject", "name"),
    "environment.released": _hold(held=False),
    "person.added": _merged("people", "name", at="added_at"),
    "person.changed": _merged("people", "name", at="changed_at"),
    "person.removed": _merged("people", "name", at="removed_at"),
    "code.enrolled": _merged("people", "name", at="code_enrolled_at"),
    "code.withdrawn": _merged("people", "name", at="code_withdrawn_at"),
    "key.enrolled": _merged("keys", "person", "fingerprint", at="enrolled_at"),
    "key.withdrawn": _merged("keys", "person", "fingerprint", at="withdrawn_at"),
    "token.issued": _merged("tokens", "id", at="issued_at"),
    "token.revoked": _merged("tokens", "id", at="revoked_at"),
    "delegation.given": _merged("delegations", "id", at="given_at"),
    "delegation.withdrawn": _merged("delegations", "id", at="withdrawn_at"),
}
