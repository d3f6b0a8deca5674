"""Backup and restore: an installation goes on in another home, without its work trees, as if nothing had happened."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from delivery.adapters.embedded_postgresql import EmbeddedPostgresql
from delivery.home import Home
from tests.e2e import invariants
from tests.e2e.project import Document, Project, Remembered, configuration, environment, files
from tests.e2e.stages import Held, answered, everything_held, first_versions, make_held
from tests.repositories import Made, make_repository
from tests.servers.installation import Installation, installation, until

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]
SECRET = "tr0ub4dor-and-3-of-backups"


@dataclass(frozen=True, slots=True)
class Copied:
    """A backup, and what was there when it was made."""

    file: Path
    project: Project
    clone: Path
    """Another work tree of the same source, as somebody else has it."""
    told: Document
    policy: Document
    people: list[Document]
    served: str
    streams: Document


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copied]:
    """Live in dev, waiting for alice in staging, copied while it works; then stopped, and its work tree is gone."""
    folder = tmp_path_factory.mktemp("copied")
    with installation() as first:
        first.cli("up", cwd=folder)
        project = project_with_an_origin(first, folder)
        first.cli("people", "add", "alice", "--role", "approver", cwd=folder)
        project.ask("secret", "set", "TOKEN", given=SECRET)
        assert project.ask("run")["state"] == "Waiting"
        project.waiting("staging")
        file = folder / "monday.tar.gz"
        before = project.told()
        made = project.ask("backup", str(file))
        assert set(made) >= {"path", "bytes", "seconds", "streams"}
        assert (made["path"], made["bytes"], file.stat().st_mode & 0o777) == (str(file), file.stat().st_size, 0o600)
        assert project.told() == before, "nothing was stopped or changed by it"
        made_of = Copied(
            file,
            project,
            folder / "clone",
            before,
            project.ask("policy"),
            project.ask("people", "list"),
            project.get("dev")["version"],
            made["streams"],
        )
        project.cli("down", "--environments")
        project.folder.rename(made_of.clone)
        yield made_of


def project_with_an_origin(shipline: Installation, folder: Path) -> Project:
    repository = make_repository(folder, [Made(files(delivered()), label="first")], name="copied")
    repository.git("remote", "add", "origin", "https://git.example.org/team/copied.git")
    project = Project(shipline, repository, "copied", delivered())
    assert project.ask("project", "add")["slug"] == "copied"
    return project


def delivered() -> Document:
    content = configuration(
        environments={"dev": environment(), "staging": environment("dev", approvals=1, tier="staging")},
        steps={"unit": {"command": "echo passed"}},
    )
    content["services"]["web"]["run"]["secrets"] = {"PASSWORD": "secret:TOKEN"}
    return content


@contextmanager
def restored(copied: Copied) -> Iterator[Project]:
    """The project in another home, whose control plane does not run yet."""
    with installation() as second:
        made = second.cli("restore", str(copied.file), "--json", cwd=copied.file.parent).json
        assert (made["ok"], made["broken"], made["notes"]) == (True, [], [])
        assert made["streams"] == copied.streams
        yield Remembered(second, copied.project.repository, copied.project.slug, copied.project.configuration)


def test_an_installation_goes_on_in_another_home(copied: Copied) -> None:
    with restored(copied) as project:
        project.cli("up")
        assert project.told() == copied.told
        assert project.ask("people", "list") == copied.people
        assert [one["name"] for one in project.ask("secret", "list")] == ["TOKEN"]
        assert project.ask("status", "dev")["environments"][0]["drift"] == []
        until(
            lambda: answered(lambda: project.get("dev")["version"]) == copied.served,
            "dev to serve what it served, where it did",
        )
        waiting = project.waiting("staging")
        assert "flow-run" in waiting["url"], "Prefect's own page of it is there too"
        project.approve("staging")
        assert project.get("staging")["version"] == "1"
        history = project.ask("history")
        assert history[1:] == copied.told["history"][1:]
        assert (history[0]["id"], history[0]["state"]) == (waiting["id"], "Succeeded")
        run = next(one["run"] for one in project.ask("evidence", project.digests("dev")["web"])["artifacts"])
        assert project.ask("logs", run, "--step", "unit")["lines"] == ["passed"]
        invariants.check([project], [SECRET])
        clone = copied.clone
        added = project.installation.cli("project", "add", "--json", cwd=clone).json
        assert (added["slug"], project.ask("policy")) == (project.slug, copied.policy), "read from there from now on"


def test_without_prefects_database_the_promotion_gets_a_new_flow_run(copied: Copied) -> None:
    with restored(copied) as project:
        empty_prefect(project.installation.home)
        project.cli("up")
        assert {**project.told(), "ledger": ...} == {**copied.told, "ledger": ...}, "a new flow run is an entry"
        project.approve("staging")
        assert project.get("staging")["version"] == "1"


def empty_prefect(home: Home) -> None:
    """As a restore leaves it where the installed Prefect is too old for what was copied."""
    server = EmbeddedPostgresql(home)
    server.start()
    with psycopg.connect(server.urls.admin, autocommit=True) as connection:
        connection.execute("DROP DATABASE prefect")
        connection.execute("CREATE DATABASE prefect OWNER prefect")
    server.stop()


def test_a_rollout_that_was_under_way_is_brought_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "busy.tar.gz"
    with installation() as first:
        first.cli("up", cwd=tmp_path)
        held = make_held(first, tmp_path, "verify")
        first_versions([held])
        with everything_held([held]):
            held.project.ask("backup", str(file))
        held.ends()
        held.project.cli("down", "--environments")
        with installation() as second:
            again = moved(held, second)
            second.cli("restore", str(file), cwd=tmp_path)
            second.cli("up", cwd=tmp_path)
            assert again.ends()["state"] == "Completed"
            assert again.project.get("live")["version"].strip() == str(again.version)
            invariants.check([again.project])


def moved(held: Held, other: Installation) -> Held:
    """The same delivery on another installation."""
    project = Project(other, held.project.repository, held.project.slug, held.project.configuration)
    return Held(held.stage, project, held.gates, held.version, held.run)
