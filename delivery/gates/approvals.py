"""Whose approval counts, and when there are enough: the gate that people pass, as a pure function.

A person counts once, and for one role. What is wrong with an approval is the same whether it is about to be given
(then it is refused) or was given before (then it does not count any more).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from delivery.actor import Evidence, KnownBy
from delivery.approval import Approval
from delivery.gates.verdict import Verdict
from delivery.people.person import People
from delivery.people.roles import Permission, permissions_of

Excluded = Literal["author", "requester"]


@dataclass(frozen=True, slots=True)
class ApprovalRules:
    """What an environment's policy demands of approvals."""

    count: int = 0
    """Different people, at least."""
    roles: Mapping[str, int] = field(default_factory=dict)
    """So many with each of these roles; without any everybody counts who may approve."""
    evidence: tuple[Evidence, ...] = ("none", "api-token", "one-time-code", "ssh-signature")
    not_by: tuple[Excluded, ...] = ()
    comment_required: bool = False
    roles_count_at: Literal["approval", "rollout"] = "rollout"
    """Whether a role that was taken away after an approval still counts for it."""

    @property
    def accepted(self) -> tuple[Evidence, ...]:
        """A name that somebody typed proves nothing where it matters who it is."""
        unproven = bool(self.roles or self.not_by)
        return tuple(one for one in self.evidence if not (unproven and one == "none"))

    @property
    def needed(self) -> int:
        """How many people have to say yes."""
        return max(self.count, sum(self.roles.values()))


@dataclass(frozen=True, slots=True)
class Authors:
    """Who wrote what a promotion brings live."""

    people: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    """Addresses that are nobody's here."""


@dataclass(frozen=True, slots=True)
class ApprovalFacts:
    """What the gate needs to know."""

    people: People
    now: datetime
    approvals: Sequence[Approval]
    """Decisions about this very candidate."""
    forged: frozenset[str] = frozenset()
    """Ids of approvals whose signature does not hold, or not any more."""
    authors: Authors = Authors()
    requester: str | None = None
    """The person who asked for the promotion; None when an automation did."""
    expires_at: datetime | None = None


def require_approvals(rules: ApprovalRules, facts: ApprovalFacts) -> Verdict:
    """Enough different people, with the right roles, approved this candidate in time, and none rejected it."""
    for one in facts.approvals:
        if one.decision == "reject":
            because = f": {one.comment}" if one.comment else ""
            return Verdict("approvals", (f"rejected by {one.approver}{because}",))
    counting = {one.approver: one for one in facts.approvals if not objections(rules, facts, one)}
    missing = _missing(rules, {name: usable_roles(rules, facts, one) for name, one in counting.items()})
    missing += _nobody(rules, facts)
    if not missing:
        return Verdict("approvals")
    if facts.expires_at is not None and facts.now >= facts.expires_at:
        return Verdict("approvals", (f"approval expired: {len(counting)} of {rules.needed} given in time",))
    void = tuple(f"{one.approver}'s approval does not count: {why}" for one, why in _void(rules, facts))
    return Verdict("approvals", (*missing, *void), waiting=True)


def objections(rules: ApprovalRules, facts: ApprovalFacts, approval: Approval) -> tuple[str, ...]:
    """Why a decision does not count; nothing when it does."""
    return tuple(_objections(rules, facts, approval))


def usable_roles(rules: ApprovalRules, facts: ApprovalFacts, approval: Approval) -> frozenset[str]:
    """The roles for which somebody's approval may count: not one lent by somebody who is excluded."""
    if approval.local:
        return frozenset({"admin"})
    at_approval = rules.roles_count_at == "approval" and approval.roles
    held = approval.roles if at_approval else facts.people.roles_of(approval.approver, facts.now)
    excluded = _excluded(rules, facts)
    return frozenset(role for role, owner in held.items() if owner not in excluded)


def who_can(rules: ApprovalRules, facts: ApprovalFacts) -> tuple[str, ...]:
    """People whose approval would count now and has not been given, by name."""
    excluded, given = _excluded(rules, facts), {one.approver for one in facts.approvals}
    names = (name for name in facts.people.everybody if name not in excluded and name not in given)
    held = {name: facts.people.roles_of(name, facts.now) for name in names}
    return tuple(
        name for name, roles in held.items() if _suffices(rules, {r for r in roles if roles[r] not in excluded})
    )


def _objections(rules: ApprovalRules, facts: ApprovalFacts, approval: Approval) -> Iterator[str]:
    if approval.evidence not in rules.accepted:
        yield f"{_named(approval.evidence)} does not suffice here, only {_listed(rules.accepted)}"
    if approval.id in facts.forged:
        yield "its signature does not hold"
    if facts.expires_at is not None and approval.at > facts.expires_at:
        yield "it came too late"
    if rules.comment_required and not approval.comment.strip():
        yield "a comment is required"
    involved = tuple(_involved(rules, facts, approval.approver)) if approval.decision == "approve" else ()
    yield from involved
    if not involved and not _is_allowed(rules, facts, approval):
        wanted = " or ".join(sorted(rules.roles))
        yield f"{approval.approver} is no {wanted}" if wanted else f"{approval.approver} may not approve"


def _involved(rules: ApprovalRules, facts: ApprovalFacts, name: str) -> Iterator[str]:
    """Whoever may not say yes may still say no."""
    if "author" in rules.not_by and name in facts.authors.people:
        yield f"{name} wrote part of what goes live"
    if "requester" in rules.not_by and name == facts.requester:
        yield f"{name} asked for it"


def _is_allowed(rules: ApprovalRules, facts: ApprovalFacts, approval: Approval) -> bool:
    """A name that somebody typed need not be known: it proves nothing anyhow."""
    if not rules.roles and (approval.local or approval.evidence == "none"):
        return True
    return _suffices(rules, usable_roles(rules, facts, approval))


def _suffices(rules: ApprovalRules, roles: Iterable[str]) -> bool:
    held = frozenset(roles)
    return bool(held & rules.roles.keys()) if rules.roles else Permission.APPROVE in permissions_of(held)


def _excluded(rules: ApprovalRules, facts: ApprovalFacts) -> frozenset[str]:
    authors = facts.authors.people if "author" in rules.not_by else frozenset()
    requester = {facts.requester} if facts.requester and "requester" in rules.not_by else set()
    return authors | requester


def _nobody(rules: ApprovalRules, facts: ApprovalFacts) -> tuple[str, ...]:
    """Whose commits cannot be told apart from an approver's own."""
    if "author" not in rules.not_by or not facts.authors.unknown:
        return ()
    named = ", ".join(facts.authors.unknown[:5])
    return (f"commits by somebody unknown: {named}; say whose address it is: shipline people change NAME --email",)


def _void(rules: ApprovalRules, facts: ApprovalFacts) -> Iterator[tuple[Approval, str]]:
    for one in facts.approvals:
        why = objections(rules, facts, one)
        if why:
            yield one, "; ".join(why)


def _missing(rules: ApprovalRules, given: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """What is still to be given, in words; each person fills one place of a role, or none."""
    places = [role for role, number in sorted(rules.roles.items()) for _ in range(number)]
    filled = _filled(places, given)
    open_places = [role for place, role in enumerate(places) if place not in filled]
    others = max(0, rules.needed - len(given) - len(open_places))
    if open_places:
        named = [f"{open_places.count(role)} {role}" for role in dict.fromkeys(open_places)]
        return (f"waiting for approval by {' and '.join([*named, *([f'{others} more'] if others else [])])}",)
    return (f"waiting for {others} approval{'s' if others > 1 else ''}",) if others else ()


def _filled(places: Sequence[str], given: Mapping[str, frozenset[str]]) -> dict[int, str]:
    """As many places as can be filled at once, by place who fills it (augmenting paths, after Kuhn)."""
    holder: dict[int, str] = {}

    def find(name: str, tried: set[int]) -> bool:
        for place, role in enumerate(places):
            if role in given[name] and place not in tried:
                tried.add(place)
                if place not in holder or find(holder[place], tried):
                    holder[place] = name
                    return True
        return False

    for name in sorted(given):
        find(name, set())
    return holder


def _named(evidence: KnownBy) -> str:
    return "a name without evidence" if evidence == "none" else f"evidence by {evidence.replace('-', ' ')}"


def _listed(evidence: Iterable[Evidence]) -> str:
    return " or ".join(one.replace("-", " ") for one in evidence if one != "none") or "a name"
