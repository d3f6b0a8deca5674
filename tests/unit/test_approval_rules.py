"""Whose approval counts, and when there are enough."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.approval import Approval
from delivery.artifact import Digest
from delivery.gates.approvals import ApprovalFacts, ApprovalRules, Authors, objections, require_approvals, who_can
from delivery.gates.verdict import Verdict
from delivery.people.person import Delegation, People, Person

CANDIDATE = Digest("sha256:" + "ab" * 32)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PEOPLE = People(
    {
        "ada": Person("ada", ("approver",), emails=("ada@example.org",)),
        "bob": Person("bob", ("approver", "security")),
        "carol": Person("carol", ("security",)),
        "dave": Person("dave", ("viewer",)),
        "erin": Person("erin", ("developer", "release-manager")),
        "root": Person("root", ("admin",)),
        "gone": Person("gone", ("approver",), removed_at=NOW),
    }
)


def said(name: str, decision: str = "approve", **more: object) -> Approval:
    given = Approval(name, "p", "staging", CANDIDATE, "approve", name, "api-token", NOW)
    return replace(given, decision=decision, **more)  # type: ignore[arg-type]


def facts(*approvals: Approval, **more: Any) -> ApprovalFacts:  # noqa: ANN401  # fields
    given: dict[str, Any] = {"people": PEOPLE, "now": NOW, "approvals": approvals, "expires_at": LATER}
    return ApprovalFacts(**given | more)


def test_it_waits_until_enough_different_people_said_yes() -> None:
    rules = ApprovalRules(count=2)
    assert require_approvals(rules, facts()) == Verdict("approvals", ("waiting for 2 approvals",), waiting=True)
    assert require_approvals(rules, facts(said("ada"), said("ada"))).reasons == ("waiting for 1 approval",)
    assert require_approvals(rules, facts(said("ada"), said("bob"))).passed


def test_one_rejection_ends_it_even_beside_enough_approvals() -> None:
    found = facts(said("ada"), said("bob", "reject", comment="not before Monday"))
    assert require_approvals(ApprovalRules(count=1), found) == Verdict(
        "approvals", ("rejected by bob: not before Monday",)
    )


def test_approvals_expire_as_a_refusal_and_one_that_came_later_does_not_count() -> None:
    rules, over = ApprovalRules(count=1), NOW - timedelta(seconds=1)
    late = replace(facts(said("ada")), expires_at=over)
    assert require_approvals(rules, late) == Verdict("approvals", ("approval expired: 0 of 1 given in time",))
    in_time = replace(facts(said("ada", at=over)), expires_at=over)
    assert require_approvals(rules, in_time).passed


@pytest.mark.parametrize("name", ["ada", "bob", "carol", "root"])
def test_whoever_may_approve_counts_where_no_role_is_named(name: str) -> None:
    assert require_approvals(ApprovalRules(count=1), facts(said(name))).passed


@pytest.mark.parametrize("name", ["dave", "erin", "gone", "nobody"])
def test_nobody_else_does(name: str) -> None:
    found = facts(said(name))
    assert objections(ApprovalRules(count=1), found, found.approvals[0]) == (f"{name} may not approve",)


def test_a_typed_name_counts_only_where_names_without_evidence_and_without_role_do() -> None:
    typed = facts(said("somebody", evidence="none"))
    assert require_approvals(ApprovalRules(count=1), typed).passed
    assert not require_approvals(ApprovalRules(count=1, roles={"approver": 1}), typed).passed
    proven = ApprovalRules(count=1, evidence=("ssh-signature", "one-time-code"))
    assert objections(proven, typed, typed.approvals[0]) == (
        "a name without evidence does not suffice here, only ssh signature or one time code",
    )


def test_the_local_user_is_an_admin_and_no_other_role() -> None:
    local = facts(said("me", local=True))
    assert require_approvals(ApprovalRules(count=1), local).passed
    assert (
        require_approvals(ApprovalRules(roles={"security": 1}), local).reasons[0]
        == "waiting for approval by 1 security"
    )
    assert require_approvals(ApprovalRules(roles={"admin": 1}), local).passed


def test_each_role_has_a_number_and_a_person_fills_one_place() -> None:
    rules = ApprovalRules(count=3, roles={"approver": 1, "security": 1})
    assert require_approvals(rules, facts(said("bob"))).reasons == ("waiting for approval by 1 security and 1 more",)
    assert require_approvals(rules, facts(said("bob"), said("ada"))).reasons == ("waiting for 1 approval",)
    assert require_approvals(replace(rules, count=0), facts(said("bob"), said("ada"))).passed
    assert not require_approvals(replace(rules, count=0), facts(said("bob"))).passed


def test_no_author_and_no_requester_approves_but_either_may_say_no() -> None:
    rules = ApprovalRules(count=1, not_by=("author", "requester"))
    known = {"authors": Authors(frozenset({"ada"})), "requester": "bob"}
    found = facts(said("ada"), said("bob"), **known)
    assert require_approvals(rules, found).reasons == (
        "waiting for 1 approval",
        "ada's approval does not count: ada wrote part of what goes live",
        "bob's approval does not count: bob asked for it",
    )
    assert require_approvals(rules, facts(said("ada", "reject"), **known)).reasons == ("rejected by ada",)


def test_commits_of_nobody_known_are_named() -> None:
    rules = ApprovalRules(count=1, not_by=("author",))
    verdict = require_approvals(rules, facts(authors=Authors(unknown=("x@example.org",))))
    assert verdict.reasons[1].startswith("commits by somebody unknown: x@example.org; say whose address it is")


def test_commits_of_nobody_known_hold_it_up_even_with_enough_approvals() -> None:
    rules = ApprovalRules(count=1, not_by=("author",))
    verdict = require_approvals(rules, facts(said("bob"), authors=Authors(unknown=("bob@private.example",))))
    assert verdict.waiting
    assert "bob@private.example" in verdict.reasons[0]


def test_a_comment_may_be_required() -> None:
    rules = ApprovalRules(count=1, comment_required=True)
    assert not require_approvals(rules, facts(said("ada", comment="  "))).passed
    assert require_approvals(rules, facts(said("ada", comment="seen"))).passed


def test_a_signature_that_does_not_hold_does_not_count() -> None:
    found = facts(said("ada", evidence="ssh-signature"), forged=frozenset({"ada"}))
    assert objections(ApprovalRules(count=1), found, found.approvals[0]) == ("its signature does not hold",)


def test_a_role_taken_away_since_counts_only_where_the_policy_says_so() -> None:
    before = said("dave", roles={"approver": "dave"})
    assert not require_approvals(ApprovalRules(roles={"approver": 1}), facts(before)).passed
    assert require_approvals(ApprovalRules(roles={"approver": 1}, roles_count_at="approval"), facts(before)).passed


def test_lent_roles_count_until_they_end_and_not_from_somebody_who_is_excluded() -> None:
    lent = Delegation("1", "ada", "dave", LATER)
    people = replace(PEOPLE, delegations=(lent,))
    rules = ApprovalRules(roles={"approver": 1}, not_by=("author",))
    assert require_approvals(rules, facts(said("dave"), people=people)).passed
    by_ada = {"authors": Authors(frozenset({"ada"})), "people": people}
    assert not require_approvals(rules, facts(said("dave"), **by_ada)).passed
    over = replace(PEOPLE, delegations=(replace(lent, until=NOW),))
    assert not require_approvals(rules, facts(said("dave"), people=over)).passed


def test_who_can_is_whoever_would_count_and_has_not_spoken() -> None:
    rules = ApprovalRules(roles={"security": 1}, not_by=("requester",))
    assert who_can(rules, facts(requester="carol")) == ("bob",)
    assert who_can(rules, facts(said("bob"))) == ("carol",)
    assert who_can(ApprovalRules(count=1), facts()) == ("ada", "bob", "carol", "root")


NAMES, ROLES = ("p", "q", "r", "s"), ("a", "b", "c")


@given(
    held=st.fixed_dictionaries({name: st.frozensets(st.sampled_from(ROLES)) for name in NAMES}),
    wanted=st.dictionaries(st.sampled_from(ROLES), st.integers(1, 2)),
    count=st.integers(0, 4),
)
def test_enough_is_when_some_way_of_seating_people_fills_every_place(
    held: dict[str, frozenset[str]], wanted: dict[str, int], count: int
) -> None:
    people = People({name: Person(name, tuple(sorted(roles))) for name, roles in held.items()})
    rules = ApprovalRules(count=count, roles=wanted)
    found = facts(*(said(name) for name in NAMES), people=people)
    counting = [name for name in NAMES if (held[name] & wanted.keys() if wanted else held[name])]
    places = [role for role, number in wanted.items() for _ in range(number)]
    seated = len(places) <= len(counting) and any(
        all(role in held[name] for role, name in zip(places, seats, strict=True))
        for seats in permutations(counting, len(places))
    )
    assert require_approvals(rules, found).passed == (seated and len(counting) >= count)
