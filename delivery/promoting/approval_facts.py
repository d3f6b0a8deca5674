"""What the approvals gate needs to know of a promotion: who decided, who asked, who wrote what goes live."""

from collections.abc import Iterator, Sequence

from pydantic import JsonValue, TypeAdapter

from delivery.approval import Approval
from delivery.approval_statement import Statement, read_statement
from delivery.connections import Connections
from delivery.gates.approvals import ApprovalFacts, ApprovalRules, Authors
from delivery.people.person import People
from delivery.people.reading import read_people
from delivery.policy import EnvironmentPolicy
from delivery.promoting.candidates import release_of
from delivery.promoting.changes import service_changes
from delivery.promoting.new_commits import NewCommits
from delivery.promotion import Kind, Promotion
from delivery.source import Commit

_APPROVAL: TypeAdapter[Approval] = TypeAdapter(Approval)


def rules_of(terms: EnvironmentPolicy) -> ApprovalRules:
    """What a policy demands of approvals."""
    return ApprovalRules(
        count=terms.approvals,
        roles=dict(terms.approval_roles),
        evidence=terms.approval_evidence,
        not_by=terms.approval_not_by,
        comment_required=terms.approval_comment_required,
        roles_count_at=terms.approval_roles_count_at,
    )


def approvals_for(connections: Connections, promotion: Promotion) -> list[Approval]:
    """Decisions about this promotion, and earlier ones about the very same candidate when it goes back to it."""
    return approvals_of_each(connections, promotion.project, [promotion])[promotion.id]


def approvals_of_each(
    connections: Connections, project: str, promotions: Sequence[Promotion]
) -> dict[str, list[Approval]]:
    """By promotion, as `approvals_for`, all asked for at once."""
    candidates: list[JsonValue] = [*sorted({one.candidate for one in promotions})]
    rows = connections.ledger.rows("approvals", order="at", project=project, candidate=candidates)
    given = [_APPROVAL.validate_python(row) for row in rows]
    return {promotion.id: [one for one in given if _counts(one, promotion)] for promotion in promotions}


def _counts(approval: Approval, promotion: Promotion) -> bool:
    if (approval.environment, approval.candidate) != (promotion.environment, promotion.candidate):
        return False
    going_back = promotion.kind is Kind.ROLLBACK and approval.decision == "approve"
    return approval.promotion == promotion.id or going_back


def approval_facts(
    connections: Connections, promotion: Promotion, rules: ApprovalRules, approvals: Sequence[Approval]
) -> ApprovalFacts:
    """As things stand now; authors are looked up only where they matter."""
    people = read_people(connections)
    return ApprovalFacts(
        people=people,
        now=connections.clock.now(),
        approvals=approvals,
        forged=frozenset(one.id for one in approvals if _is_forged(connections, promotion, people, one)),
        authors=_authors(connections, promotion, people) if "author" in rules.not_by else Authors(),
        requester=_requester(connections, promotion),
        expires_at=promotion.expires_at,
    )


def statement_about(connections: Connections, promotion: Promotion) -> Statement:
    """What an approver of it has to sign, but for who they are and what they decide."""
    released = release_of(connections, promotion.project, promotion.release).services
    return Statement(
        project=promotion.project,
        promotion=promotion.id,
        environment=promotion.environment,
        candidate=promotion.candidate,
        release=promotion.release,
        digests={name: one.artifact for name, one in sorted(released.items())},
        configuration=promotion.configuration,
        migrations=tuple(f"{name}:{one.migrations}" for name, one in sorted(released.items()) if one.migrations),
        policy_version=promotion.policy_version,
    )


def signing_key(connections: Connections, people: People, person: str, statement: str, signature: str) -> str | None:
    """The fingerprint of the key of theirs that signed this; None when none did that they sign with now."""
    known = people.known(person)
    keys = [one.line for one in known.keys if one.withdrawn_at is None] if known else []
    return connections.signatures.verify(statement.encode(), signature, person, keys)


def _is_forged(connections: Connections, promotion: Promotion, people: People, approval: Approval) -> bool:
    """Whether a signed approval does not say what the ledger says, or nobody's key signed it.

    One of an earlier promotion, which counts when its candidate comes back, names that promotion.
    """
    if approval.evidence != "ssh-signature":
        return False
    said = read_statement(approval.statement or "")
    agrees = said is not None and (said.promotion, said.candidate, said.decision, said.person) == (
        approval.promotion,
        promotion.candidate,
        approval.decision,
        approval.approver,
    )
    signature = approval.signature or ""
    return not agrees or not signing_key(connections, people, approval.approver, approval.statement or "", signature)


def _requester(connections: Connections, promotion: Promotion) -> str | None:
    """Whoever asked for it, or for the run of which it comes by itself."""
    if promotion.requested_by.kind != "automation":
        return promotion.requested_by.subject
    run = connections.operations.load("runs", promotion.run) if promotion.run else None
    return str(run["requested_by"]) if run else None


def _authors(connections: Connections, promotion: Promotion, people: People) -> Authors:
    """Of every commit that goes live by this promotion."""
    addresses = {
        address for commit in _new_commits(connections, promotion) for address in (commit.email, *commit.co_authors)
    }
    found = {address: people.authors(address) for address in sorted(addresses)}
    known = frozenset(person.name for owners in found.values() for person in owners)
    return Authors(known, tuple(address for address, owners in found.items() if not owners))


def _new_commits(connections: Connections, promotion: Promotion) -> Iterator[Commit]:
    """Where nothing was live before, one commit stands for its history: else nobody could approve a first release."""
    new, source = NewCommits(connections, promotion), connections.source(promotion.project)
    for change in promotion.changes or service_changes(connections, promotion):
        yield from new.of(change)
        if change.previous_revision is None:
            yield source.describe(change.revision)
