"""Who may approve, and how they prove it: with real keys, real codes and the plain `ssh-keygen`."""

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pyotp
import pytest

from tests.e2e.conftest import Make
from tests.e2e.project import Project, configuration, environment
from tests.e2e.secrets import places_with

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen: apt-get install openssh-client"),
]
_SHORTEST_SECRET = 24
AUTHOR = "ada@example.org"
"""Who commits in these repositories."""


@pytest.fixture
def project(make: Make) -> Project:
    """Staging wants an approver and somebody of security, neither author nor requester, proven."""
    staging = environment()
    staging["approvals"] = {
        "count": 0,
        "roles": {"approver": 1, "security": 1},
        "not_by": ["author", "requester"],
        "evidence": ["ssh-signature", "one-time-code"],
        "comment": "required",
    }
    return make("proven", configuration(environments={"staging": staging}))


def key_of(folder: Path, name: str) -> Path:
    key = folder / name
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)), check=True)
    return key


def test_two_people_prove_who_they_are_and_anybody_can_check_it(project: Project, tmp_path: Path) -> None:
    alice, mallory = key_of(tmp_path, "alice"), key_of(tmp_path, "mallory")
    project.ask("people", "add", "alice", "--role", "approver", "--email", "alice@example.org")
    project.ask("people", "add", "carol", "--role", "security")
    project.ask("people", "enroll", "alice", "--key", f"{alice}.pub")
    codes: Any = pyotp.parse_uri(project.ask("people", "enroll", "carol", "--code")["uri"])
    assert project.ask("people", "enroll", "carol", "--confirm", codes.now())["enrolled"]
    assert "private key" in project.refused("people", "enroll", "carol", "--key", str(alice), code=2)

    run = project.ask("run")
    [waiting] = run["promotions"]
    said = ("approve", waiting["id"], "--comment", "seen")
    assert "comment is required" in project.refused("approve", waiting["id"], "--key", str(alice))
    assert "no enrolled key" in project.refused(*said, "--key", str(mallory), code=2)
    assert "no enrolled key of alice" in project.refused("approve", waiting["id"], "--person", "alice", code=2)
    by_signature = project.ask(*said, "--key", str(alice))
    assert (by_signature["approver"], by_signature["evidence"]) == ("alice", "ssh-signature")
    assert "alice has approved" in project.refused(*said, "--key", str(alice))

    spent = ("approve", waiting["id"], "--comment", "checked", "--person", "carol", "--code")
    assert "wrong one-time code" in project.refused(*spent, "000000")
    by_code = project.ask(*spent, next_code(codes))
    assert (by_code["approver"], by_code["evidence"]) == ("carol", "one-time-code")

    [shown] = project.ask("approvals")
    assert (shown["requires"], shown["can_approve"]) == (2, [])
    assert f"commits by somebody unknown: {AUTHOR}" in shown["because"]
    know_the_author(project)
    project.succeeds(waiting["id"])

    proof = tmp_path / "proof"
    found = project.ask("evidence", project.digests("staging")["web"], "--save", str(proof))
    [promotion] = found["promotions"]
    assert {one["approver"]: one["evidence"] for one in promotion["approvals"]} == {
        "alice": "ssh-signature",
        "carol": "one-time-code",
    }
    [signed] = proof.glob("*.json")
    assert checked(proof, signed) == 0
    signed.write_text(signed.read_text().replace('"decision":"approve"', '"decision":"reject" '))
    assert checked(proof, signed) != 0


def test_no_credential_stands_anywhere_but_in_its_own_place(project: Project) -> None:
    home = project.installation.home
    project.ask("people", "add", "bot", "--role", "viewer")
    issued = project.ask("people", "token", "bot")["token"]
    secret = pyotp.parse_uri(project.ask("people", "enroll", "bot", "--code")["uri"]).secret
    assert [places_with(home, value) for value in (issued, secret)] == [[], []]
    kept = [one for one in home.credentials.rglob("*") if one.is_file()]
    assert {"api-token", "prefect-auth"} <= {one.name for one in kept}
    for one in kept:
        for value in _values(one):
            assert {Path(place).parent for place in places_with(home, value)} <= {home.credentials}, one.name


def _values(credential: Path) -> list[str]:
    """Passwords and tokens in a file of credentials; of a key's file its lines."""
    if credential.name == "secrets.key":
        return []  # bytes that no text holds
    words = re.split(r"[\s\"',:/@?&=]+", credential.read_text())
    return [word for word in words if len(word) >= _SHORTEST_SECRET and not word.isalpha()]


def test_nobody_approves_their_own_commits_under_another_address(project: Project, tmp_path: Path) -> None:
    eve = key_of(tmp_path, "eve")
    know_the_author(project)
    project.ask("people", "add", "eve", "--role", "approver", "--email", "eve@work.example")
    project.ask("people", "enroll", "eve", "--key", f"{eve}.pub")
    somebody = ("-c", "user.name=Somebody", "-c", "user.email=eve@home.example")
    project.commit({"web/version": "2"})
    amend = ("git", *somebody, "commit", "--quiet", "--amend", "--reset-author", "-m", "feat: by another address")
    subprocess.run(amend, cwd=project.folder, check=True)
    [waiting] = project.ask("run")["promotions"]
    project.ask("approve", waiting["id"], "--key", str(eve), "--comment", "mine")
    assert "commits by somebody unknown: eve@home.example" in project.waiting("staging")["because"]
    project.ask("people", "change", "eve", "--email", "eve@home.example")
    held = project.waiting("staging")["because"]
    assert "eve's approval does not count: eve wrote part of what goes live" in held


def test_a_key_that_was_withdrawn_signs_nothing_and_what_it_signed_does_not_count_any_more(
    project: Project, tmp_path: Path
) -> None:
    anna = key_of(tmp_path, "anna")
    know_the_author(project)
    project.ask("people", "add", "anna", "--role", "approver")
    enrolled = project.ask("people", "enroll", "anna", "--key", f"{anna}.pub")
    [waiting] = project.ask("run")["promotions"]
    project.ask("approve", waiting["id"], "--key", str(anna), "--comment", "seen")
    project.ask("people", "withdraw", "anna", "--key", enrolled["fingerprint"])
    assert "no enrolled key" in project.refused("approve", waiting["id"], "--key", str(anna), "--comment", "x", code=2)
    assert "anna's approval does not count: its signature does not hold" in project.waiting("staging")["because"]


def know_the_author(project: Project) -> None:
    """People belong to the installation, which these tests share."""
    if AUTHOR not in {address for one in project.ask("people", "list") for address in one["emails"]}:
        project.ask("people", "add", "ada", "--role", "developer", "--email", AUTHOR)


def next_code(codes: Any) -> str:  # noqa: ANN401  # pyotp's
    """One that was not used yet."""
    time.sleep(30 - time.time() % 30 + 0.5)
    return str(codes.now())


def checked(proof: Path, signed: Path) -> int:
    """What the plain `ssh-keygen` says of a saved statement."""
    command = ("ssh-keygen", "-Y", "verify", "-f", str(proof / "allowed_signers"), "-I", "alice")
    wanted = ("-n", "shipline-approval", "-s", f"{signed}.sig")
    return subprocess.run((*command, *wanted), input=signed.read_bytes(), check=False).returncode
