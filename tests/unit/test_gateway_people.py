"""Who may come in at the gateway, by what proves them: the real people behind its port."""

from datetime import timedelta
from pathlib import Path

import pyotp
import pytest

from delivery.actor import Actor
from delivery.connections import Connections
from delivery.gates.verdict import Verdict
from delivery.home import Home
from delivery.people.enrolling import begin_code, delegate, finish_code, issue_token, revoke_token
from delivery.people.registering import Changes, add_person, change_person, remove_person
from delivery.people.roles import EVERYTHING, Permission
from shipline.control.identity import KnownPeople
from shipline.web.identity import Person
from tests.fakes.connections import Installation

ADMIN = Actor("local-user", "root", "api-token")
READS, APPROVES = frozenset({Permission.READ}), frozenset({Permission.READ, Permission.APPROVE})


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(Home(tmp_path))


@pytest.fixture
def ports(installation: Installation) -> Connections:
    return installation.connect()


@pytest.fixture
def people(ports: Connections) -> KnownPeople:
    return KnownPeople(ports, "home-token")


def test_the_homes_token_is_the_local_user_until_it_is_another_one(ports: Connections, people: KnownPeople) -> None:
    local = people.by_token("home-token")
    assert local
    assert local.permissions == EVERYTHING
    assert people.by_key(local.key) == local
    assert KnownPeople(ports, "another").by_key(local.key) is None
    assert [people.by_token(wrong) for wrong in ("", "home-toke", "shipline_x", "ü", "x" * 10_000)] == [None] * 5


def test_a_person_with_the_local_users_name_is_not_the_local_user(ports: Connections, people: KnownPeople) -> None:
    local = people.by_token("home-token")
    assert local
    assert people.by_name(local.name) is None
    add_person(ports, local.name, Changes(), ADMIN)
    assert people.by_name(local.name) == Person(local.name, READS, f"person:{local.name}")


def test_what_began_with_a_limited_token_stays_limited_and_ends_with_it(
    ports: Connections, people: KnownPeople
) -> None:
    add_person(ports, "alice", Changes(roles=("approver", "viewer")), ADMIN)
    token = issue_token(ports, "alice", ("viewer",), None, ADMIN)
    alice = people.by_token(token.token)
    assert alice == Person("alice", READS, f"token:{token.id}")
    assert people.by_key(alice.key) == alice
    revoke_token(ports, "alice", token.id, ADMIN)
    assert people.by_key(alice.key) is None


def test_a_role_that_was_taken_and_a_person_who_was_removed_count_at_once(
    ports: Connections, people: KnownPeople
) -> None:
    add_person(ports, "alice", Changes(roles=("approver",)), ADMIN)
    token = issue_token(ports, "alice", (), None, ADMIN)
    keys = [f"token:{token.id}", "person:alice"]
    assert [one.permissions for key in keys if (one := people.by_key(key))] == [APPROVES, APPROVES]
    change_person(ports, "alice", Changes(roles=("viewer",)), ADMIN)
    assert [one.permissions for key in keys if (one := people.by_key(key))] == [READS, READS]
    remove_person(ports, "alice", ADMIN)
    assert [people.by_key(key) for key in keys] == [None, None]


def test_a_code_is_looked_at_without_being_used_and_opens_once(
    ports: Connections, people: KnownPeople, installation: Installation
) -> None:
    add_person(ports, "alice", Changes(roles=("approver",)), ADMIN)
    assert not people.has_codes()
    codes = pyotp.TOTP(begin_code(ports, "alice", ADMIN).secret)
    assert finish_code(ports, "alice", codes.at(installation.clock.now()), ADMIN).passed
    assert people.has_codes()
    installation.clock.advance(30)
    code = codes.at(installation.clock.now())
    assert [people.look_at_code("alice", code).passed for _ in range(2)] == [True, True]
    assert people.by_code("alice", code) == Person("alice", APPROVES, "person:alice")
    used = Verdict("one-time code", ("that code was used already: wait for the next one",))
    assert (people.by_code("alice", code), people.look_at_code("alice", code)) == (used, used)
    assert people.look_at_code("nobody", code) == Verdict("one-time code", ("wrong one-time code",))


def test_looking_does_not_help_guessing(ports: Connections, people: KnownPeople, installation: Installation) -> None:
    add_person(ports, "alice", Changes(), ADMIN)
    codes = pyotp.TOTP(begin_code(ports, "alice", ADMIN).secret)
    finish_code(ports, "alice", codes.at(installation.clock.now()), ADMIN)
    installation.clock.advance(30)
    for _ in range(5):
        assert not people.look_at_code("alice", "000000").passed
    told = people.look_at_code("alice", codes.at(installation.clock.now())).reasons[0]
    assert told.startswith("too many wrong one-time codes")


def test_lent_roles_count_while_they_are_lent(
    ports: Connections, people: KnownPeople, installation: Installation
) -> None:
    add_person(ports, "alice", Changes(roles=("approver",)), ADMIN)
    add_person(ports, "bob", Changes(), ADMIN)
    delegate(ports, "alice", "bob", installation.clock.now() + timedelta(hours=1), ADMIN)
    found = [people.by_name("bob")]
    installation.clock.advance(7200)
    found.append(people.by_name("bob"))
    assert [one and one.permissions for one in found] == [APPROVES, READS]
