"""Six small projects whose deliveries can each be held in another stage of their life, by gates that are files."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from delivery.errors import DeliveryError
from shipline.cli.client import Client, segments
from shipline.cli.session import recorded_address
from tests.e2e.project import Document, Project, configuration, environment, make_project
from tests.servers.installation import Installation, until

PLACE = "live"
PASSWORD = "tr0ub4dor-and-3-of-chaos"
GATES = {
    "step": "step",
    "build": "build",
    "rollout": "well",
    "verify": "held",
    "rollback": "held",
    "approval": None,
}
"""By project, and stage that it is held in: the gate that holds it. People are the gate of the last."""
REACH_SECONDS = 240.0
PATIENCE_SECONDS = 240.0
TRUTH_SECONDS = 60.0
RETRIES = 3


@dataclass(slots=True)
class Held:
    """One project, the version that is on its way, and the gates that it meets."""

    stage: str
    project: Project
    gates: Path
    """A path prefix: `GATE` has a line for each arrival, `GATE.open` lets it pass."""
    version: int = 0
    run: str = ""
    errored: list[str] = field(default_factory=list)
    """Why somebody had to say `retry`."""

    @property
    def installation(self) -> Installation:
        """What it is on."""
        return self.project.installation

    @property
    def address(self) -> str:
        """Of its service's router."""
        return str(self.project.running(PLACE)["web"]["address"])

    def marks(self, gate: str) -> list[str]:
        """Who came to a gate, in order."""
        path = Path(f"{self.gates}.{gate}")
        return path.read_text().split() if path.exists() else []

    def open(self, gate: str | None) -> None:
        """Let pass."""
        if gate:
            Path(f"{self.gates}.{gate}.open").touch()

    def close(self, gate: str | None) -> None:
        """Hold, and forget who came."""
        if gate:
            Path(f"{self.gates}.{gate}.open").unlink(missing_ok=True)
            Path(f"{self.gates}.{gate}").unlink(missing_ok=True)

    def deliver(self, *, fit: bool = True) -> None:
        """Commit the next version and ask for its delivery."""
        self.version += 1
        run = self.project.configuration["services"]["web"]["run"]
        run["environment"] = {"GATES": str(self.gates), "BEHAVIOUR": "" if fit else "unfit"}
        (self.project.folder / "web" / "version").write_text(f"{self.version}\n")
        self.project.reconfigure(f"version {self.version}")
        self.run = client(self.installation).post(segments("projects", self.project.slug, "runs"), {})["id"]

    def reached(self) -> bool:
        """Whether it stands where it is held."""
        gate = GATES[self.stage]
        if gate == "well":
            return str(self.version) in self.marks("starts")
        return bool(self.marks(gate)) if gate else bool(self.project.look("approvals"))

    def document(self) -> Document:
        """The run, as the API shows it."""
        return dict(self.installation.look("runs", self.run))

    def ends(self, seconds: float = PATIENCE_SECONDS) -> Document:
        """The run once it has ended, with its promotions; what is Errored is retried, as its message says."""
        return dict(until(self._ended, f"the delivery held in {self.stage} to end", seconds))

    def _ended(self) -> Document | None:
        document: Document | None = answered(self.document)
        if document is None or not document["finished"] or document["state"] == "Waiting":
            return None
        if document["state"] != "Errored":
            return document
        self.errored.append(document["problem"])
        assert len(self.errored) <= RETRIES, self.errored
        broken = [one["id"] for one in document["promotions"] if one["state"] == "Errored"]
        self.project.ask("retry", *(broken or [self.run]))
        return None

    def starts(self, version: int) -> int:
        """How often a version was started, by its own account."""
        return self.marks("starts").count(str(version))


def client(installation: Installation) -> Client:
    """For asking without a person at a terminal."""
    address = recorded_address(installation.home)
    assert address is not None
    return Client(address)


def answered(look: Callable[[], Any]) -> Any:  # noqa: ANN401  # whatever is found
    """What a look finds, or None while nobody answers."""
    try:
        return look()
    except (DeliveryError, OSError, AssertionError, httpx.HTTPError):
        return None


def make_held(installation: Installation, folder: Path, stage: str) -> Held:
    """A project with one environment in which version 1 runs as soon as it is delivered."""
    gates = folder / "gates" / stage
    gates.parent.mkdir(exist_ok=True)
    held = Held(stage, make_project(installation, folder, stage, content(gates, stage)), gates)
    for gate in ("step", "build", "well", "held"):
        held.open(gate)
    held.project.ask("secret", "set", "PASSWORD", given=PASSWORD)
    held.deliver()
    return held


def content(gates: Path, stage: str) -> Document:
    """A step, a build, a service and a smoke suite, with a gate each."""
    asks = 1 if stage == "approval" else 0
    found = configuration(
        environments={PLACE: environment(approvals=asks, smoke="held", rollout_timeout_seconds=600, tier="production")},
        steps={"unit": {"command": held_at(gates, "step"), "inputs": ["web"]}},
        smoke={"held": {"requests": [{"path": "/held", "timeout_seconds": 600}]}},
    )
    web = found["services"]["web"]
    web["build"]["command"] = f"{held_at(gates, 'build')}\n{web['build']['command']}"
    web["run"]["health"]["timeout_seconds"] = 600
    web["run"]["secrets"] = {"PASSWORD": "secret:PASSWORD"}
    return found


def held_at(gates: Path, gate: str) -> str:
    """Shell that passes a gate once it is open."""
    path = f"'{gates}.{gate}'"
    return f"cat web/version >> {path}; until [ -e {path}.open ]; do sleep 0.1; done"


def first_versions(made: Sequence[Held]) -> None:
    """Every project's version 1 runs."""
    for held in made:
        if held.stage == "approval":
            held.project.approve(PLACE)
        assert held.ends()["state"] == "Completed", held.document()


@contextmanager
def everything_held(made: Sequence[Held]) -> Iterator[None]:
    """Another delivery of every project stands in its stage; on leaving, all gates are open."""
    for held in made:
        held.close(GATES[held.stage])
        held.deliver(fit=held.stage != "rollback")
    for held in made:
        until(held.reached, f"a delivery to be held in {held.stage}", REACH_SECONDS)
    try:
        yield
    finally:
        for held in made:
            held.open(GATES[held.stage])


def tells_the_truth(held: Held) -> Any:  # noqa: ANN401  # truthy once it does
    """Whether status agrees with what the service itself says."""
    (found,) = held.project.look("status", environment=PLACE)["environments"]
    (web,) = found["services"]
    agrees = web["health"] == "healthy" and not found["drift"]
    return agrees and httpx.get(web["address"], trust_env=False, timeout=10).is_success
