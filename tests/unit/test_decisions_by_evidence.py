"""Decisions over the API: each kind of evidence, and every way of getting around it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import JsonValue

from delivery.actor import SHIPLINE, Actor
from delivery.canonical import canonical_bytes
from delivery.errors import ConfigurationError
from delivery.people.enrolling import delegate, enroll_key, issue_token, withdraw_key
from delivery.people.registering import Changes, add_person, change_person
from delivery.promoting.accepting import pending
from delivery.promoting.candidates import configuration_at
from delivery.promoting.stopping import abort
from delivery.promotion import Phase, Promotion
from delivery.run import Run
from tests.fakes.door import Door
from tests.fakes.shop import ADA, CONFIGURATION, Shop, Version, run_pass
from tests.fakes.signatures import InMemorySignatures

PROVEN = CONFIGURATION.replace("count: 1", "count: 1, evidence: [ssh-signature, one-time-code]")
LINES = {name: f"ssh-ed25519 {name}{'A' * 40}" for name in ("alice", "bob", "mallory")}


@dataclass(slots=True)
class Scene:
    """A promotion that waits for a proven approval, and the API as somebody asks it."""

    shop: Shop
    version: Version
    waiting: Promotion
    door: Door

    def statement(self, person: str = "alice", decision: str = "approve", comment: str = "") -> str:
        asked = {"person": person, "decision": decision, "comment": comment}
        return str(self._post("statement", asked).raise_for_status().json()["statement"])

    def decide(self, statement: str, key: str = "alice", **more: Any) -> httpx.Response:  # noqa: ANN401  # JSON
        signature = InMemorySignatures.sign(LINES[key], statement.encode())
        return self._post("decision", {"decision": "approve", "statement": statement, "signature": signature} | more)

    def plainly(self, door: Door | None = None, **more: Any) -> httpx.Response:  # noqa: ANN401  # JSON
        path = f"/promotions/{self.waiting.id}/decision"
        return (door or self.door).ask("POST", path, json={"decision": "approve"} | more)

    def as_person(self, name: str) -> Door:
        connections = self.shop.connections
        return Door(connections, issue_token(connections, name, (), None, ADA).token)

    def _post(self, what: str, body: dict[str, Any]) -> httpx.Response:
        return self.door.ask("POST", f"/promotions/{self.waiting.id}/{what}", json=body)


def made(folder: Path, configuration: str) -> Scene:
    shop = Shop(folder, configuration)
    version = shop.version()
    shop.deliver(version)
    add_person(shop.connections, "alice", Changes(roles=("approver",)), ADA)
    enroll_key(shop.connections, "alice", LINES["alice"], ADA)
    return Scene(shop, version, shop.promotions(environment="staging")[-1], Door(shop.connections))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return made(tmp_path, PROVEN)


def said(answer: httpx.Response) -> str:
    assert answer.status_code >= 400, answer.text
    return str(answer.json()["error"]["message"])


def test_a_signed_approval_counts_and_is_kept_with_its_statement(scene: Scene) -> None:
    answer = scene.decide(scene.statement()).raise_for_status().json()
    assert (answer["approver"], answer["evidence"]) == ("alice", "ssh-signature")
    run_pass(scene.shop.connections, scene.waiting.id)
    assert scene.shop.look(scene.waiting).phase is Phase.SUCCEEDED
    [promotion] = scene.door.get(f"/projects/shop/evidence/{scene.waiting.id}").json()["promotions"]
    [kept] = promotion["approvals"]
    assert json.loads(kept["statement"])["candidate"] == scene.waiting.candidate
    assert kept["key"].startswith("SHA256:")


def test_anybody_who_may_read_can_bring_a_signature(scene: Scene) -> None:
    add_person(scene.shop.connections, "bot", Changes(), ADA)
    scene.door = scene.as_person("bot")
    assert scene.decide(scene.statement()).status_code == 200
    assert "bot may not approve here" in said(scene.plainly())


def another_field(name: str, value: JsonValue) -> Callable[[str], str]:
    def changed(statement: str) -> str:
        return canonical_bytes({**json.loads(statement), name: value}).decode()

    return changed


@pytest.mark.parametrize(
    ("altered", "reason"),
    [
        (another_field("candidate", "sha256:" + "00" * 32), "another candidate"),
        (another_field("environment", "production"), "another environment"),
        (another_field("digests", {}), "another digests"),
        (another_field("policy_version", 99), "another policy version"),
        (another_field("promotion", "p0"), "another promotion"),
        (another_field("decision", "reject"), "another decision"),
        (another_field("comment", "other"), "another comment"),
        (another_field("at", "2020-01-01T00:00:00.000000Z"), "longer than 10 minutes ago"),
        (another_field("nonce", "n"), "shorter than 16"),
        (another_field("extra", 1), "no statement of ours"),
        (lambda text: text + " ", "no statement of ours"),
        (lambda _: "{}", "no statement of ours"),
    ],
)
def test_a_statement_that_says_anything_else_is_refused_although_it_is_signed(
    scene: Scene, altered: Callable[[str], str], reason: str
) -> None:
    assert reason in said(scene.decide(altered(scene.statement())))
    assert scene.shop.rows("approvals") == []


def test_another_ones_key_and_no_ones_key_are_refused(scene: Scene) -> None:
    statement = scene.statement()
    assert "no enrolled key of alice" in said(scene.decide(statement, key="mallory"))
    enroll_key(scene.shop.connections, "bob", LINES["bob"], ADA)
    assert "no enrolled key of alice" in said(scene.decide(statement, key="bob"))
    assert "no enrolled key of nobody" in said(scene.decide(scene.statement("nobody")))


def test_a_signature_over_what_was_changed_afterwards_is_none(scene: Scene) -> None:
    statement = scene.statement(comment="seen")
    signature = InMemorySignatures.sign(LINES["alice"], scene.statement().encode())
    assert "no enrolled key" in said(scene.decide(statement, signature=signature, comment="seen"))


def test_a_replayed_statement_gives_nothing_new(scene: Scene) -> None:
    statement = scene.statement()
    scene.decide(statement).raise_for_status()
    assert "alice has approved" in said(scene.decide(statement))
    assert len(scene.shop.rows("approvals")) == 1


def test_a_statement_for_an_earlier_candidate_says_nothing_of_the_next(scene: Scene) -> None:
    statement = scene.statement()
    scene.shop.deliver(scene.shop.version("2"))
    scene.waiting = scene.shop.promotions(environment="staging")[-1]
    assert "the statement says another candidate" in said(scene.decide(statement))


def test_whoever_gives_way_says_that_its_approvals_are_void(tmp_path: Path) -> None:
    scene = made(tmp_path, PROVEN.replace("count: 1", "count: 2"))
    scene.decide(scene.statement()).raise_for_status()
    scene.shop.deliver(scene.shop.version("2"))
    assert scene.shop.look(scene.waiting).because.endswith("; approved by alice, which is void for another candidate")


def test_a_withdrawn_key_signs_nothing_and_what_it_signed_stops_counting(tmp_path: Path) -> None:
    scene = made(tmp_path, PROVEN.replace("count: 1", "count: 2"))
    statement = scene.statement()
    scene.decide(statement).raise_for_status()
    [key] = scene.door.get("/people/alice").json()["keys"]
    withdraw_key(scene.shop.connections, "alice", key["fingerprint"], ADA)
    run_pass(scene.shop.connections, scene.waiting.id)
    assert "alice's approval does not count: its signature does not hold" in scene.shop.look(scene.waiting).because
    assert "no enrolled key" in said(scene.decide(statement))


def test_a_role_that_was_taken_away_before_the_rollout_stops_counting(tmp_path: Path) -> None:
    scene = made(tmp_path, PROVEN.replace("count: 1", "count: 2"))
    scene.decide(scene.statement()).raise_for_status()
    change_person(scene.shop.connections, "alice", Changes(roles=("viewer",)), ADA)
    run_pass(scene.shop.connections, scene.waiting.id)
    assert "alice may not approve" in scene.shop.look(scene.waiting).because


def test_a_token_and_a_name_do_not_suffice_where_more_is_asked(scene: Scene) -> None:
    assert "evidence by api token does not suffice here" in said(scene.plainly())
    assert "a name without evidence does not suffice here" in said(scene.plainly(person="alice"))


def test_a_person_with_a_token_is_nobody_else(tmp_path: Path) -> None:
    scene = made(tmp_path, CONFIGURATION)
    alice = scene.as_person("alice")
    assert "alice cannot decide as bob" in said(scene.plainly(alice, person="bob"))
    answer = scene.plainly(alice, person="alice").raise_for_status().json()
    assert (answer["approver"], answer["evidence"]) == ("alice", "api-token")


@pytest.mark.parametrize("role", ["viewer", "developer", "release-manager"])
def test_without_the_permission_a_token_approves_nothing(tmp_path: Path, role: str) -> None:
    scene = made(tmp_path, CONFIGURATION)
    add_person(scene.shop.connections, "dave", Changes(roles=(role,)), ADA)
    assert "dave may not approve here" in said(scene.plainly(scene.as_person("dave")))


def test_whoever_asked_for_it_does_not_approve_it(tmp_path: Path) -> None:
    scene = made(tmp_path, CONFIGURATION.replace("count: 1", "count: 1, not_by: [requester]"))
    alice = Actor("person", "alice", "api-token")
    abort(scene.shop.connections, scene.waiting, "anew", ADA)
    scene.waiting = scene.shop.request(scene.version, "staging", actor=alice, request="again")
    run_pass(scene.shop.connections, scene.waiting.id)
    assert "alice asked for it" in said(scene.plainly(scene.as_person("alice")))
    assert scene.plainly(scene.as_person("bob")).status_code == 200


def test_whoever_asked_for_the_run_asked_for_what_comes_of_it(tmp_path: Path) -> None:
    scene = made(tmp_path, CONFIGURATION.replace("count: 1", "count: 1, not_by: [requester]"))
    now = scene.shop.installation.clock.now()
    run = Run("r1", "shop", scene.version.commit, None, now, "alice")
    scene.shop.connections.operations.save("runs", run.id, "shop", run.document())
    abort(scene.shop.connections, scene.waiting, "anew", ADA)
    scene.waiting = scene.shop.request(scene.version, "staging", actor=SHIPLINE, run="r1", request="again")
    run_pass(scene.shop.connections, scene.waiting.id)
    assert "alice asked for it" in said(scene.plainly(scene.as_person("alice")))


def test_a_lent_role_counts_as_the_takers_own_voice(tmp_path: Path) -> None:
    scene = made(tmp_path, CONFIGURATION.replace("count: 1", "roles: {security: 1}"))
    connections = scene.shop.connections
    add_person(connections, "sam", Changes(roles=("security",)), ADA)
    assert "bob is no security" in said(scene.plainly(scene.as_person("bob")))
    delegate(connections, "sam", "bob", scene.shop.installation.clock.now().replace(year=2027), ADA)
    assert scene.plainly(scene.as_person("bob")).raise_for_status().json()["approver"] == "bob"


def test_a_commit_that_drops_the_approval_waits_for_it_all_the_same(tmp_path: Path) -> None:
    scene = made(tmp_path, CONFIGURATION)
    dropped = CONFIGURATION.replace(" approvals: {count: 1, expires_after_seconds: 3600},", "")
    assert dropped != CONFIGURATION
    version = scene.shop.version("2", configuration=dropped)
    scene.shop.deliver(version)
    waiting = scene.shop.promotions(environment="staging")[-1]
    assert (waiting.phase, waiting.because) == (Phase.WAITING, "waiting for 1 approval")
    connections = scene.shop.connections
    proposed = pending(connections, "shop", configuration_at(connections, "shop", version.commit))
    assert ("approvals", 1, 0, True) in [(one.field, one.old, one.new, one.loosens) for one in proposed]
    add_person(scene.shop.connections, "eve", Changes(roles=("release-manager",)), ADA)
    accepted = scene.as_person("eve").ask("POST", "/projects/shop/policy/accept", json={"environment": "staging"})
    assert accepted.status_code == 403


def test_a_commit_cannot_add_an_approver(tmp_path: Path) -> None:
    shop = Shop(tmp_path, CONFIGURATION)
    with pytest.raises(ConfigurationError, match="people"):
        shop.version("2", configuration=CONFIGURATION + "people: {eve: {roles: [approver]}}\n")
    assert Door(shop.connections).get("/people").json()[0]["name"] == "bob"


@pytest.mark.parametrize("comment", ["x" * 2001, "x" * 1_000_000])
def test_a_comment_is_bounded(scene: Scene, comment: str) -> None:
    assert scene.plainly(comment=comment).status_code == 422


@pytest.mark.parametrize(
    "comment", ["'; DROP TABLE entries; --", "\u202egnp.exe", "{{7*7}}", "a\x00b", "\x1b[31mred", "💥"]
)
def test_whatever_a_comment_says_is_kept_as_text(tmp_path: Path, comment: str) -> None:
    scene = made(tmp_path, CONFIGURATION)
    scene.plainly(scene.as_person("alice"), comment=comment).raise_for_status()
    [kept] = scene.shop.rows("approvals")
    assert kept["comment"] == comment.replace("\0", "\ufffd")  # which PostgreSQL cannot keep
