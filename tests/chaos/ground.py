"""The ground: one installation with three small projects that deliver quickly, and whoever asks and answers there.

`plain` delivers into one environment; `gated` waits for a person between two; in `undone` things are rolled back.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from delivery.errors import TransientError
from delivery.home import Home
from shipline.cli.client import Client, segments
from shipline.cli.session import recorded_address
from tests.e2e.project import Document, Project, configuration, environment, make_project, service
from tests.servers.installation import Installation, installation

PACE = {"SHIPLINE_LEASE_SECONDS": "3", "SHIPLINE_LOOK_SECONDS": "0.5", "SHIPLINE_JANITOR_SECONDS": "1.5"}
"""One kill's recovery takes seconds then; the usual lease is 15 s."""
ANSWER_SECONDS = 60.0
SECRET = "tr0ub4dor-and-3-of-chaos"
PLACES = {"plain": ("live",), "gated": ("dev", "prod"), "undone": ("live",)}
T = TypeVar("T")


@dataclass(slots=True)
class Line:
    """One project, and which version each of its environments should serve."""

    project: Project
    version: int = 0
    good: list[int] = field(default_factory=list)
    """Versions that stand in its last environment, oldest first."""

    @property
    def name(self) -> str:
        """As in PLACES."""
        return self.project.slug

    def commit(self, *, fit: bool = True) -> None:
        """The next version; an unfit one answers its smoke suite badly."""
        self.version += 1
        run = self.project.configuration["services"]["web"]["run"]
        run["environment"] = {**run["environment"], "BEHAVIOUR": "" if fit else "unfit"}
        (self.project.folder / "web" / "version").write_text(f"{self.version}\n")
        self.project.reconfigure(f"version {self.version}")
        if fit:
            self.good.append(self.version)


@dataclass(slots=True)
class Ground:
    """The installation and its lines."""

    installation: Installation
    lines: dict[str, Line] = field(default_factory=dict)

    @property
    def home(self) -> Home:
        """Of the installation."""
        return self.installation.home

    @property
    def folder(self) -> Path:
        """Where the projects are, beside the home."""
        return self.home.root.parent

    @property
    def starts(self) -> Path:
        """A line for every start of a service, written by itself."""
        return self.folder / "starts"

    @property
    def projects(self) -> list[Project]:
        """Of every line."""
        return [line.project for line in self.lines.values()]

    def addresses(self) -> list[str]:
        """Of everything that is deployed."""
        found = [line.project.running(place) for line in self.lines.values() for place in PLACES[line.name]]
        return [str(services["web"]["address"]) for services in found]

    def ask(self, question: Callable[[Client], T], seconds: float = ANSWER_SECONDS) -> T:
        """What the control plane answers, asked again for as long as nobody does."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return question(self._client())
            except (TransientError, OSError, AssertionError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def post(self, *path: str, **body: Any) -> Any:  # noqa: ANN401  # JSON
        """Ask for something, until somebody answers."""
        return self.ask(lambda client: client.post(segments(*path), body))

    def run(self, line: Line, request: str) -> str:
        """Ask for a run of the newest commit; its id."""
        return str(self.post("projects", line.name, "runs", request=request)["id"])

    def roll_back(self, line: Line, request: str) -> str:
        """Ask for the way back; the promotion's id."""
        place = PLACES[line.name][-1]
        return str(self.post("projects", line.name, "rollbacks", environment=place, request=request)["id"])

    def up(self) -> None:
        """Start whatever does not run."""
        self.installation.cli("up", cwd=self.folder)

    def _client(self) -> Client:
        address = recorded_address(self.home)
        assert address is not None, "the control plane has not said where it listens"
        return Client(address, seconds=30)


@contextmanager
def made_ground() -> Iterator[Ground]:
    """An installation whose projects are registered and delivered nothing yet."""
    with installation(PACE) as running:
        made = Ground(running)
        made.up()
        for name in PLACES:
            project = make_project(running, made.folder, name, content(name, made.starts))
            project.ask("secret", "set", "PASSWORD", given=SECRET)
            made.lines[name] = Line(project)
        yield made


def content(name: str, starts: Path) -> Document:
    """A step, a service and a smoke suite."""
    web = service("web", STARTS=str(starts))
    web["run"]["secrets"] = {"PASSWORD": "secret:PASSWORD"}
    web["run"]["stop_grace_seconds"] = 1
    places: Document = {
        place: environment(
            after=PLACES[name][number - 1] if number else None,
            approvals=1 if number else 0,
            smoke="held",
            tier="production" if place == PLACES[name][-1] else "development",
        )
        for number, place in enumerate(PLACES[name])
    }
    return configuration(
        environments=places,
        services={"web": web},
        steps={"unit": {"command": "sleep 0.2 && grep -q . web/version", "inputs": ["web"]}},
        smoke={"held": {"requests": [{"path": "/held"}]}},
    )


def shuffled(found: list[T], dice: random.Random) -> list[T]:
    """In an order that the seed decides."""
    return dice.sample(found, len(found))
