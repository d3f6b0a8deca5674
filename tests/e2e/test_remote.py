"""Every command from another machine: a home and a folder that the control plane knows nothing of, and a token."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from delivery.home import Home
from shipline.cli.main import LOCAL
from shipline.cli.reference import commands
from tests.e2e.project import Document, Project, configuration, environment, files, promoted
from tests.repositories import Made, make_repository, run_git
from tests.servers.installation import Installation, until

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]
PEOPLE = {"vic": "viewer", "dan": "developer", "amy": "approver", "rita": "release-manager", "ada": "admin"}
ORIGIN = "https://git.example.org/team/far.git"
NOBODY = "01000000-0000-7000-8000-000000000001"


@dataclass(slots=True)
class Far:
    """People at a machine of their own."""

    folder: Path
    url: str
    tokens: dict[str, str]
    project: Project
    """On the control plane's own machine."""
    used: set[str] = field(default_factory=set)
    """Commands that somebody had an answer to."""

    def place(self, person: str) -> Installation:
        """A machine on which nothing of Shipline's ever ran."""
        variables = {"SHIPLINE_URL": self.url, "SHIPLINE_TOKEN": self.tokens[person], "HOME": str(self.folder)}
        return Installation(Home(self.folder / "home"), variables)

    def ask(self, person: str, *words: str, check: int = 0, given: str = "") -> Any:  # noqa: ANN401  # JSON
        """A command's document, of somebody who may."""
        self.used.add(self.command(words))
        about = ("--project", self.project.slug, "--json")
        return self.place(person).cli(*words, *about, cwd=self.folder, check=check, given=given).json

    def act(self, person: str, *words: str, check: int = 0, given: str = "") -> Any:  # noqa: ANN401  # JSON
        """The same, after a viewer was told that they may not."""
        error = self.ask("vic", *words, check=2, given=given)["error"]
        assert (error["code"], error["message"].partition(" here")[0]) == ("forbidden", error["message"][:-5])
        assert error["hint"].startswith("roles that may: "), words
        return self.ask(person, *words, check=check, given=given)

    @staticmethod
    def command(words: tuple[str, ...]) -> str:
        """Which command of the table these words call."""
        known = {name for name, _ in commands()}
        two = " ".join(words[:2])
        return two if two in known else words[0]


@pytest.fixture(scope="module")
def far(shipline: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    near = tmp_path_factory.mktemp("near")
    repository = make_repository(near, [Made(files(delivered()), label="first")], name="far")
    repository.git("remote", "add", "origin", ORIGIN)
    project = Project(shipline, repository, "far", delivered())
    project.slug = project.ask("project", "add")["slug"]
    project.ask("policy", "accept")
    for name, role in PEOPLE.items():
        project.ask("people", "add", name, "--role", role)
    tokens = {name: project.ask("people", "token", name)["token"] for name in PEOPLE}
    (told,) = [one["url"] for one in project.ask("up")["components"] if one["name"] == "control"]
    yield Far(tmp_path_factory.mktemp("far"), told, tokens, project)
    for name in PEOPLE:
        project.ask("people", "remove", name)


def delivered() -> Document:
    return configuration(
        environments={
            "dev": environment(),
            "staging": environment("dev", approvals=1),
            "demo": environment("dev", automatic=False),
        },
        steps={
            "unit": {"command": "echo passed; test ! -e web/broken; if test -e web/slow; then sleep 300; fi"},
        },
    )


def test_every_command_works_from_elsewhere_as_far_as_ones_role_goes(far: Far, tmp_path: Path) -> None:
    develops(far)
    approves(far)
    releases(far)
    reads(far)
    administers(far, tmp_path)
    everything = {name for name, _ in commands()} - LOCAL
    assert far.used == everything, "every command of the table but those about this machine"
    assert sorted(path.name for path in far.folder.iterdir()) == ["proof"], "nothing was started or kept here"


def develops(far: Far) -> None:
    plan = far.ask("vic", "plan")
    assert [one["action"] for one in plan["steps"]] == ["run"]
    run = far.act("dan", "run")
    assert (run["revision"], run["state"]) == (plan["revision"], "Waiting")
    told = far.act("dan", "check-result", "load-test", "passed", "--revision", run["revision"])
    assert told["name"] == "load-test"
    far.project.commit({"web/broken": "x"})
    failed = far.act("dan", "run", check=1)
    assert far.act("dan", "retry", failed["id"], check=1)["id"] == failed["id"]
    (far.project.folder / "web" / "broken").unlink()
    far.project.commit({"web/slow": "x", "web/version": "2"})
    slow = far.ask("dan", "run", "--no-follow")["id"]
    until(lambda: far.project.installation.look("runs", slow)["steps"], "the slow step to begin")
    assert far.act("dan", "abort", slow, "--reason", "too slow")["id"] == slow
    (far.project.folder / "web" / "slow").unlink()
    far.project.commit({"web/version": "3"})
    assert far.ask("dan", "run")["state"] == "Waiting"


def approves(far: Far) -> None:
    newest = far.ask("vic", "approvals")[-1]
    assert newest["environment"] == "staging"
    given = far.act("amy", "approve", newest["id"])
    assert (given["approver"], given["evidence"]) == ("amy", "api-token")
    far.project.succeeds(newest["id"])
    far.project.commit({"web/version": "4"})
    later = promoted(far.ask("dan", "run"))["staging"]["id"]
    assert far.act("amy", "reject", later, "--reason", "not today")["promotion_state"] == "Refused"


def releases(far: Far) -> None:
    assert far.act("rita", "hold", "demo", "--reason", "the fair is on")["hold"]
    assert far.act("rita", "unhold", "demo")["hold"] is None
    for revision in ("HEAD~1", "HEAD"):
        asked = ("promote", far.project.repository.git("rev-parse", revision), "--to", "demo", "--wait")
        assert far.act("rita", *asked)["state"] == "Succeeded"
    assert far.project.get("demo")["version"] == "4"
    assert far.act("rita", "rollback", "demo", "--wait")["state"] == "Succeeded"
    assert far.project.get("demo")["version"] == "3"
    far.project.commit({"web/version": "5"})
    waiting = promoted(far.ask("dan", "run"))["staging"]["id"]
    assert far.act("rita", "abort", waiting, "--reason", "wrong branch")["state"] == "Aborted"
    assert "only an Errored one" in far.act("rita", "retry", waiting, check=4)["error"]["message"]


def reads(far: Far) -> None:
    """All that a viewer may, which is to read everything."""
    (dev,) = far.ask("vic", "status", "dev")["environments"]
    (web,) = dev["services"]
    assert far.ask("vic", "history", "demo")[0]["kind"] == "rollback"
    evidence = far.ask("vic", "evidence", web["digest"], "--save", str(far.folder / "proof"))
    assert (far.folder / "proof" / "allowed_signers").exists()
    assert far.ask("vic", "logs", evidence["artifacts"][0]["run"], "--step", "unit")["lines"] == ["passed"]
    assert "deployment_frequency" in far.ask("vic", "dora")["metrics"]
    assert [one["name"] for one in far.ask("vic", "cache", "why", "unit")["steps"]] == ["unit"]
    assert far.ask("vic", "cache", "stats")["project"] == far.project.slug
    assert far.ask("vic", "cache", "gc", "--keep", "30d")["removed"] is False
    assert far.ask("vic", "ledger", "verify")["ok"]
    assert len(far.ask("vic", "ledger", "export")) > 1
    assert set(PEOPLE) <= {one["name"] for one in far.ask("vic", "people", "list")}
    assert [one["by"] for one in far.ask("vic", "people", "history", "amy")]
    assert "allowed_signers" in far.ask("vic", "people", "signers")
    assert set(far.ask("vic", "policy")["environments"]) == {"dev", "staging", "demo"}
    assert far.project.slug in {one["slug"] for one in far.ask("vic", "project", "list")}
    assert far.ask("vic", "secret", "list") == []


def administers(far: Far, tmp_path: Path) -> None:
    incident = {"kind": "incident.opened", "at": "2026-11-05T10:30:00Z", "body": {"id": "i1", "caused_by": "d5"}}
    assert far.act("ada", "ledger", "import", "-", given=json.dumps(incident))["appended"] == 1
    assert [one["id"] for one in far.ask("vic", "incidents")] == ["i1"]
    assert far.act("rita", "incident", "close", "i1")["state"] == "resolved"
    assert far.act("ada", "ledger", "rebuild")["ok"]
    assert far.act("ada", "ledger", "reconcile")["ok"]
    assert far.act("ada", "cache", "gc", "--keep", "30d", "--yes")["removed"] is True
    assert [one["name"] for one in far.act("ada", "secret", "set", "TOKEN", given="x" * 20)] == ["TOKEN"]
    assert far.act("ada", "secret", "remove", "TOKEN") == []
    other = make_repository(tmp_path, [Made(files(configuration()), label="first")], name="other")
    assert far.act("ada", "project", "add", f"file://{other.folder}")["slug"] == "other"
    far.project.configuration["environments"]["staging"] = environment("dev")
    far.project.reconfigure()
    assert [one["environment"] for one in far.ask("vic", "policy")["proposed"]] != []
    assert far.act("ada", "policy", "accept")["proposed"] == []
    administers_people(far)


def administers_people(far: Far) -> None:
    assert far.act("ada", "people", "add", "bob")["name"] == "bob"
    assert far.act("ada", "people", "role", "bob", "--add", "approver")["roles"] == ["approver", "viewer"]
    assert far.act("ada", "people", "change", "bob", "--email", "bob@example.org")["emails"] == ["bob@example.org"]
    assert far.act("ada", "people", "enroll", "bob", "--code")["uri"].startswith("otpauth://")
    assert far.act("ada", "people", "token", "bob")["token"].startswith("shipline_")
    lent = far.act("ada", "people", "delegate", "amy", "--to", "bob", "--until", "2036-01-01T00:00:00Z")["id"]
    assert far.act("ada", "people", "withdraw", "amy", "--delegation", lent)
    assert far.act("ada", "people", "remove", "bob")


def test_a_work_tree_elsewhere_is_known_by_its_source(far: Far, tmp_path: Path) -> None:
    tree = tmp_path / "somewhere" / "else"
    run_git(tmp_path, "clone", "--quiet", str(far.project.folder), str(tree))
    run_git(tree, "remote", "set-url", "origin", ORIGIN)
    vic, dan = far.place("vic"), far.place("dan")
    assert vic.cli("history", "--json", cwd=tree).json == far.project.ask("history")
    planned = vic.cli("plan", "HEAD~1", "--json", cwd=tree).json
    assert planned["revision"] == run_git(tree, "rev-parse", "HEAD~1")
    run_git(tree, "commit", "--quiet", "--allow-empty", "-m", "not pushed")
    unpushed = dan.cli("run", "--json", cwd=tree, check=2).error
    assert (unpushed["code"], unpushed["hint"]) == (
        "not_found",
        "push it: the control plane reads the project's source, not this work tree",
    )
    uncommitted = dan.cli("run", "--dirty", "--json", cwd=tree, check=2).error
    assert uncommitted["hint"] == "commit and push it; --dirty works with a control plane that runs here"
    run_git(tree, "remote", "set-url", "origin", "https://git.example.org/team/unknown.git")
    unknown = dan.cli("status", "--json", cwd=tree, check=2).error
    assert (unknown["code"], unknown["message"]) == ("forbidden", "dan may not administer here")


def test_a_wrong_token_and_one_that_was_withdrawn_open_nothing(far: Far) -> None:
    tokens = far.project.ask("people", "token", "amy")
    amy = Installation(far.place("amy").home, {**far.place("amy").variables, "SHIPLINE_TOKEN": tokens["token"]})
    assert amy.cli("project", "list", "--json", cwd=far.folder).json
    far.project.ask("people", "withdraw", "amy", "--token", tokens["id"])
    refused = amy.cli("project", "list", "--json", cwd=far.folder, check=2).error
    assert (refused["code"], refused["hint"]) == ("unauthorized", "set SHIPLINE_TOKEN")


@pytest.mark.parametrize("command", sorted(LOCAL - {"tour", "up"}))
def test_what_is_about_this_machine_says_so(far: Far, tmp_path: Path, command: str) -> None:
    run_git(tmp_path, "init", "--quiet")
    given = {"backup": ("backup", "x"), "restore": ("restore", "x")}.get(command, (command,))
    told = far.place("vic").cli(*given, cwd=tmp_path, check=None)
    assert told.err.startswith(
        f"shipline {command} is about this machine: the control plane of SHIPLINE_URL is not asked\n"
    )
    assert told.code in {0, 1, 2}
