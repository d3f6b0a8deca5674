"""People: added, changed, removed; keys, codes, tokens and delegations; and what the API says of them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest

from delivery.actor import Actor
from delivery.connections import Connections
from delivery.errors import ConfigurationError, NotFoundError
from delivery.home import Home
from delivery.ledger import CONTROL, utc_text
from delivery.people.code_checking import SCOPE, check_code
from delivery.people.enrolling import delegate, enroll_key, issue_token, revoke_token
from delivery.people.person import Person
from delivery.people.reading import read_people
from delivery.people.registering import Changes, add_person, change_person, remove_person
from delivery.people.roles import EVERYTHING, Permission, permissions_of
from shipline.control.api import create_app
from shipline.control.control import Control
from shipline.control.entrance import Entrance
from tests.fakes.connections import Installation
from tests.fakes.door import Door
from tests.fakes.flow_runs import RecordedFlowRuns

ADMIN = Actor("local-user", "root", "api-token")
LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG1hbGxvcnk alice@laptop"


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(Home(tmp_path))


@pytest.fixture
def ports(installation: Installation) -> Connections:
    return installation.connect()


@pytest.mark.parametrize(
    ("roles", "may"),
    [
        ((), set()),
        (("viewer",), {"read"}),
        (("developer",), {"read", "develop"}),
        (("approver",), {"read", "approve"}),
        (("release-manager",), {"read", "develop", "release"}),
        (("admin",), {one.value for one in EVERYTHING}),
        (("security",), {"read", "approve"}),
        (("viewer", "approver"), {"read", "approve"}),
    ],
)
def test_roles_allow_what_they_say(roles: tuple[str, ...], may: set[str]) -> None:
    assert {one.value for one in permissions_of(roles)} == may


@pytest.mark.parametrize(
    ("email", "theirs"),
    [
        ("alice@example.org", True),
        ("ALICE@Example.org ", True),
        ("12345+alice@users.noreply.github.com", True),
        ("alice@users.noreply.github.com", True),
        ("12345+alicex@users.noreply.github.com", False),
        ("alice@example.com", False),
        ("", False),
    ],
)
def test_commits_are_known_by_address_and_login(email: str, *, theirs: bool) -> None:
    alice = Person("alice", emails=("Alice@example.org",), logins=("github:Alice",))
    assert alice.wrote(email) == theirs


def test_a_person_is_added_changed_and_removed_and_the_ledger_remembers(ports: Connections) -> None:
    add_person(ports, "alice", Changes(emails=("alice@example.org",)), ADMIN)
    assert read_people(ports).require("alice").roles == ("viewer",)
    change_person(ports, "alice", Changes(roles=("approver", "admin", "approver")), ADMIN)
    alice = read_people(ports).require("alice")
    assert (alice.roles, alice.emails) == (("admin", "approver"), ("alice@example.org",))
    enroll_key(ports, "alice", LINE, ADMIN)
    issue_token(ports, "alice", (), None, ADMIN)
    remove_person(ports, "alice", ADMIN)
    with pytest.raises(NotFoundError):
        read_people(ports).require("alice")
    assert read_people(ports).roles_of("alice", ports.clock.now()) == {}
    told = b"".join(entry.content for entry in ports.ledger.entries(CONTROL)).decode()
    for kind in ("person.added", "person.changed", "key.withdrawn", "token.revoked", "person.removed"):
        assert kind in told


def test_whoever_comes_again_begins_anew(ports: Connections) -> None:
    add_person(ports, "alice", Changes(roles=("admin",)), ADMIN)
    key = enroll_key(ports, "alice", LINE, ADMIN)
    remove_person(ports, "alice", ADMIN)
    alice = add_person(ports, "alice", Changes(), ADMIN)
    assert alice.roles == ("viewer",)
    assert [one.fingerprint for one in alice.keys if one.withdrawn_at is None] == []
    assert enroll_key(ports, "alice", LINE, ADMIN) == key


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("Alice", Changes(), "name 'Alice' must be"),
        ("a" * 65, Changes(), "must be"),
        ("al ice", Changes(), "must be"),
        ("al\u0131ce", Changes(), "must be"),
        ("*", Changes(), "must be"),
        ("alice", Changes(roles=("Admin",)), "role 'Admin' must be"),
        ("alice", Changes(emails=("alice",)), "e-mail address 'alice' must be"),
        ("alice", Changes(emails=("a@b\nc",)), "must be"),
        ("alice", Changes(logins=("alice",)), "login 'alice' must be FORGE:LOGIN"),
    ],
)
def test_what_describes_nobody_is_refused_and_nothing_kept(
    ports: Connections, name: str, changes: Changes, said: str
) -> None:
    with pytest.raises(ConfigurationError, match="describing a person") as caught:
        add_person(ports, name, changes, ADMIN)
    assert said in caught.value.message
    assert read_people(ports).everybody == {}


def test_an_address_a_login_and_a_key_are_one_persons(ports: Connections) -> None:
    add_person(ports, "alice", Changes(emails=("a@example.org",), logins=("github:a",)), ADMIN)
    enroll_key(ports, "alice", LINE, ADMIN)
    with pytest.raises(ConfigurationError, match=r"A@example\.org belongs to alice"):
        add_person(ports, "bob", Changes(emails=("A@example.org",)), ADMIN)
    with pytest.raises(ConfigurationError, match="github:A belongs to alice"):
        add_person(ports, "bob", Changes(logins=("github:A",)), ADMIN)
    add_person(ports, "bob", Changes(), ADMIN)
    with pytest.raises(ConfigurationError, match="it is alice's already"):
        enroll_key(ports, "bob", LINE, ADMIN)


def test_a_token_is_no_more_than_its_person_and_ends(installation: Installation, ports: Connections) -> None:
    add_person(ports, "bot", Changes(roles=("developer", "approver")), ADMIN)
    with pytest.raises(ConfigurationError, match="bot is no admin"):
        issue_token(ports, "bot", ("admin",), None, ADMIN)
    soon = ports.clock.now() + timedelta(hours=1)
    limited = issue_token(ports, "bot", ("approver",), soon, ADMIN)
    entrance = Entrance("home", ports)
    header = f"Bearer {limited.token}".encode()
    admitted = entrance.admit_now(header)
    assert admitted is not None
    assert (admitted.actor, admitted.permissions) == (
        Actor("person", "bot", "api-token"),
        frozenset({Permission.READ, Permission.APPROVE}),
    )
    change_person(ports, "bot", Changes(roles=("developer",)), ADMIN)
    assert entrance.admit_now(header) is None
    change_person(ports, "bot", Changes(roles=("approver",)), ADMIN)
    assert entrance.admit_now(header) is not None
    installation.clock.advance(7200)
    assert entrance.admit_now(header) is None


def test_a_revoked_token_and_anything_else_opens_nothing(ports: Connections) -> None:
    add_person(ports, "bot", Changes(roles=("admin",)), ADMIN)
    issued, entrance = issue_token(ports, "bot", (), None, ADMIN), Entrance("home", ports)
    assert entrance.admit_now(issued.token.encode()) is not None
    revoke_token(ports, "bot", issued.id, ADMIN)
    for header in (issued.token, "", "Bearer ", "Bearer x", "Bearer shipline_" + "x" * 500, "Bearer shipline_\xff"):
        assert entrance.admit_now(header.encode("latin-1")) is None


def test_no_token_and_no_secret_of_codes_stands_in_the_ledger(ports: Connections) -> None:
    door = Door(ports)
    door.ask("POST", "/people", json={"name": "alice", "roles": ["approver"]})
    token = door.ask("POST", "/people/alice/tokens", json={}).json()["token"]
    uri = door.ask("POST", "/people/alice/code").json()["uri"]
    secret = pyotp.parse_uri(uri).secret
    written = b"".join(entry.content for entry in ports.ledger.entries(CONTROL)).decode()
    assert token not in written
    assert secret not in written
    assert "digest" not in door.get("/people/alice").text


def test_codes_count_once_they_are_confirmed_and_until_they_are_withdrawn(
    installation: Installation, ports: Connections
) -> None:
    door = Door(ports)
    door.ask("POST", "/people", json={"name": "alice", "roles": ["approver"]})
    codes: Any = pyotp.parse_uri(door.ask("POST", "/people/alice/code").json()["uri"])
    first = codes.at(ports.clock.now())
    assert check_code(ports, "alice", first).reasons == ("wrong one-time code",)
    assert door.ask("POST", "/people/alice/code/confirm", json={"code": "000000"}).status_code == 409
    assert door.ask("POST", "/people/alice/code/confirm", json={"code": first}).json()["enrolled"]
    assert not check_code(ports, "alice", first).passed
    installation.clock.advance(30)
    assert check_code(ports, "alice", codes.at(ports.clock.now())).passed
    assert door.ask("DELETE", "/people/alice/code").status_code == 200
    installation.clock.advance(30)
    assert check_code(ports, "alice", codes.at(ports.clock.now())).reasons == ("wrong one-time code",)
    assert ports.secrets.list(SCOPE) == []
    assert check_code(ports, "nobody", "123456").reasons == ("wrong one-time code",)


def test_roles_are_lent_until_a_time(ports: Connections) -> None:
    for name, role in (("alice", "approver"), ("bob", "viewer")):
        add_person(ports, name, Changes(roles=(role,)), ADMIN)
    now = ports.clock.now()
    with pytest.raises(ConfigurationError, match="has passed"):
        delegate(ports, "alice", "bob", now, ADMIN)
    with pytest.raises(ConfigurationError, match="the same person"):
        delegate(ports, "alice", "alice", now + timedelta(days=1), ADMIN)
    delegate(ports, "alice", "bob", now + timedelta(days=1), ADMIN)
    assert read_people(ports).roles_of("bob", now) == {"approver": "alice", "viewer": "bob"}
    assert read_people(ports).roles_of("bob", now + timedelta(days=1)) == {"viewer": "bob"}
    remove_person(ports, "alice", ADMIN)
    assert read_people(ports).roles_of("bob", now) == {"viewer": "bob"}


def test_every_route_says_what_it_needs(ports: Connections) -> None:
    app = create_app(Control(ports, RecordedFlowRuns()), Entrance("t", ports), lambda: {"components": []})
    document = app.openapi()
    bare = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if Door(ports, "wrong").ask(method.upper(), path.removeprefix("/api/v1")).status_code != 401
    }
    assert bare == {("GET", "/api/v1/health")}


@pytest.mark.parametrize(
    ("role", "method", "path", "allowed"),
    [
        ("viewer", "GET", "/people", True),
        ("viewer", "POST", "/people", False),
        ("viewer", "POST", "/projects/shop/runs", False),
        ("developer", "POST", "/projects/shop/runs", True),
        ("developer", "POST", "/projects/shop/promotions", False),
        ("developer", "PUT", "/projects/shop/secrets/A", False),
        ("approver", "POST", "/projects/shop/rollbacks", False),
        ("release-manager", "POST", "/projects/shop/rollbacks", True),
        ("release-manager", "POST", "/projects/shop/policy/accept", False),
        ("release-manager", "POST", "/ledger/rebuild", False),
        ("release-manager", "POST", "/people/bot/keys", False),
        ("admin", "PUT", "/projects/shop/secrets/A", True),
    ],
)
def test_roles_reach_what_they_may(ports: Connections, role: str, method: str, path: str, *, allowed: bool) -> None:
    add_person(ports, "bot", Changes(roles=(role,)), ADMIN)
    door = Door(ports, issue_token(ports, "bot", (), None, ADMIN).token)
    answer = door.ask(method, path, json={} if method != "GET" else None)
    assert (answer.status_code != 403) == allowed, answer.text
    if not allowed:
        assert answer.json()["error"]["code"] == "forbidden"
        assert "roles that may" in answer.json()["error"]["hint"]


def test_people_see_to_their_own_tokens_and_delegations_only(ports: Connections) -> None:
    for name in ("alice", "bob"):
        add_person(ports, name, Changes(roles=("approver",)), ADMIN)
    alice = Door(ports, issue_token(ports, "alice", (), None, ADMIN).token)
    assert alice.ask("POST", "/people/alice/tokens", json={}).status_code == 201
    assert alice.ask("POST", "/people/bob/tokens", json={}).status_code == 403
    until = utc_text(ports.clock.now() + timedelta(days=1))
    assert alice.ask("POST", "/people/alice/delegations", json={"taker": "bob", "until": until}).status_code == 201
    assert alice.ask("POST", "/people/bob/delegations", json={"taker": "alice", "until": until}).status_code == 403
