"""Tiny projects for the end-to-end tests: services that start in some 50 ms, and what people do with them."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.repositories import Made, Repository, make_repository
from tests.servers.installation import Installation, Result, until

Document = dict[str, Any]
SERVICE = Path(__file__).parents[1] / "servers" / "web_service.py"
ENDED = frozenset({"Succeeded", "Failed", "Errored", "Refused", "Superseded", "Aborted"})


def service(name: str, **environment: str) -> Document:
    """A service whose folder has its name; its environment says how it misbehaves."""
    return {
        "paths": [name],
        "build": {"command": f"mkdir dist && cp -r {name} dist/{name}", "output": f"dist/{name}"},
        "run": {
            "command": [sys.executable, "-IS", "web_service.py"],
            "environment": environment,
            "health": {"path": "/health", "interval_seconds": 0.05, "timeout_seconds": 30},
            "stop_grace_seconds": 2,
        },
    }


def environment(after: str | None = None, approvals: int = 0, **more: object) -> Document:
    """An environment that is watched for half a second."""
    asks = {"approvals": {"count": approvals, "expires_after_seconds": 3600}} if approvals else {}
    follows = {"after": after} if after else {}
    return {"watch_seconds": 0.5, "rollout_timeout_seconds": 60, **asks, **follows, **more}


def configuration(*services: str, environments: Document | None = None, **more: object) -> Document:
    """A `shipline.yaml` of services, without any step unless `more` has some."""
    named = {name: service(name) for name in services or ("web",)}
    return {"version": 1, "services": named, "environments": environments or {}, **more}


def files(content: Document) -> dict[str, str]:
    """The configuration, and every service at its first version."""
    found = {"shipline.yaml": yaml.safe_dump(content, sort_keys=False)}
    for name in content.get("services", {}):
        found |= {f"{name}/web_service.py": SERVICE.read_text(), f"{name}/version": "1"}
    return found


@dataclass(slots=True)
class Project:
    """A project on an installation: its work tree, and what is asked about it there."""

    installation: Installation
    repository: Repository
    slug: str
    configuration: Document = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The work tree."""
        return self.repository.folder

    def cli(self, *words: str, check: int | None = 0, given: str | bytes = b"") -> Result:
        """A command as people use it, in the work tree."""
        return self.installation.cli(*words, cwd=self.folder, check=check, given=given)

    def ask(self, *words: str, check: int | None = 0, given: str | bytes = b"") -> Any:  # noqa: ANN401  # JSON
        """A command's document."""
        return self.cli(*words, "--json", check=check, given=given).json

    def refused(self, *words: str, code: int = 4) -> str:
        """The message of a command that is refused (or, with another code, wrong)."""
        return str(self.ask(*words, check=code)["error"]["message"])

    def commit(self, changed: Mapping[str, str], message: str = "a change") -> str:
        """Commit files; the revision."""
        return self.repository.commit(changed, message=message)

    def reconfigure(self, message: str = "another configuration") -> str:
        """Commit the configuration as it is now."""
        return self.commit({"shipline.yaml": yaml.safe_dump(self.configuration, sort_keys=False)}, message)

    def look(self, *path: str, **query: str) -> Any:  # noqa: ANN401  # JSON
        """What the API says about the project, for waiting."""
        return self.installation.look("projects", self.slug, *path, **query)

    def waiting(self, environment: str) -> Document:
        """What waits for a person in an environment, as soon as something does."""

        def found() -> Document | None:
            return next((one for one in self.look("approvals") if one["environment"] == environment), None)

        return dict(until(found, f"an approval to give in {environment} of {self.slug}"))

    def ends(self, promotion: str) -> Document:
        """A promotion once it has ended."""

        def found() -> Document | None:
            document: Document = self.installation.look("promotions", promotion)
            return document if document["state"] in ENDED else None

        return dict(until(found, f"promotion {promotion} of {self.slug} to end"))

    def succeeds(self, promotion: str) -> Document:
        """A promotion once it has succeeded."""
        ended = self.ends(promotion)
        assert ended["state"] == "Succeeded", json.dumps(ended, indent=1)
        return ended

    def approve(self, environment: str) -> str:
        """Say yes in an environment; the promotion's id once it succeeded."""
        waiting = self.waiting(environment)
        self.ask("approve", waiting["id"])
        self.succeeds(waiting["id"])
        return str(waiting["id"])

    def running(self, environment: str) -> dict[str, Document]:
        """By name: what an environment's services are."""
        (found,) = self.look("status", environment=environment)["environments"]
        return {one["name"]: one for one in found["services"]}

    def digests(self, environment: str) -> dict[str, str]:
        """By service: the artifact that runs."""
        return {name: one["digest"] for name, one in self.running(environment).items()}

    def told(self) -> Document:
        """All that the ledger is asked for."""
        environments = self.ask("status")["environments"]
        dora = self.ask("dora", "--env", "dev", "--from", "2026-01-01T00:00:00Z", "--to", "2036-01-01T00:00:00Z")
        return {
            "running": [
                [(one["name"], one["digest"], one["live_from"]) for one in it["services"]] for it in environments
            ],
            "waiting": [it["waiting"] for it in environments],
            "history": self.ask("history"),
            "approvals": [one["id"] for one in self.ask("approvals")],
            "dora": (dora["n"], dora["rows"]),
            "ledger": self.ask("ledger", "verify"),
        }

    def get(self, environment: str, service: str = "web", path: str = "/") -> Any:  # noqa: ANN401  # JSON
        """What a deployed service answers through its router."""
        address = self.running(environment)[service]["address"]
        return httpx.get(f"{address}{path}", trust_env=False, timeout=10).raise_for_status().json()


class Remembered(Project):
    """A project without its work tree: known by its name to an installation, from wherever one asks."""

    def cli(self, *words: str, check: int | None = 0, given: str | bytes = b"") -> Result:
        place = self.installation.home.root.parent
        return self.installation.cli(*words, "--project", self.slug, cwd=place, check=check, given=given)


def make_project(installation: Installation, folder: Path, slug: str, content: Document) -> Project:
    """A repository with one commit, and a project of it under that name (or one like it, when that is taken)."""
    repository = make_repository(folder, [Made(files(content), label="first")], name=slug)
    project = Project(installation, repository, slug, content)
    project.slug = project.ask("project", "add")["slug"]
    return project


def built(run: Document) -> dict[str, str]:
    """By service: the artifact that a run built or found."""
    return {one["service"]: one["digest"] for one in run["artifacts"]}


def promoted(run: Document) -> dict[str, Document]:
    """By environment: what a run's release was promoted by."""
    return {one["environment"]: one for one in run["promotions"]}
