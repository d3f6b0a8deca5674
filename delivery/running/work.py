"""The work of one run: what was asked, its plan, and the lease under which this process does it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from delivery.config import Configuration
from delivery.connections import Connections
from delivery.errors import NotFoundError, StaleFenceError
from delivery.plan import Plan
from delivery.ports import Lease
from delivery.promoting.candidates import configuration_at
from delivery.run import ENDED, BuiltService, Run, RunState, lease_name
from delivery.running.checkouts import Checkouts
from delivery.step import StepResult, StepState

_MOST_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class RunWork:
    """A run, its plan and configuration, the ports to work with, and a way to stop it."""

    connections: Connections
    run: Run
    plan: Plan
    configuration: Configuration
    lease: Lease
    checkouts: Checkouts
    expected: Mapping[str, float] = field(default_factory=dict)
    """Seconds that steps took lately, by the id of the planned step."""
    finished: frozenset[str] = frozenset()
    """Planned steps that this run has succeeded with before it was begun again."""
    cancelled: Event = field(default_factory=Event)
    results: dict[str, StepResult] = field(default_factory=dict)
    """By the id of the planned step, as they come."""
    built: list[BuiltService] = field(default_factory=list)

    @property
    def logs(self) -> Path:
        """Where the logs of this run are kept."""
        return self.connections.home.run_logs(self.run.id)

    def require_lease(self) -> None:
        """StaleFenceError when another process has the run by now."""
        if not self.connections.operations.renew(self.lease, self.connections.pace.lease):
            raise StaleFenceError(f"working on run {self.run.id}: its lease is lost")

    def look_for_abort(self) -> None:
        """Set `cancelled` once somebody has asked for an end."""
        document = self.connections.operations.load("runs", self.run.id)
        if document and document.get("abort_requested"):
            self.cancelled.set()


def take_run(connections: Connections, run: str, flow_run: str | None) -> RunWork | None:
    """Take a run up, in a flow run or in none; None when its own work is done or another process is at it."""
    found = read_run(connections, run)
    if found.verified_at is not None:
        return None
    holder = f"{run}/{uuid.uuid4().hex}"
    lease = connections.operations.acquire(lease_name(run), holder, connections.pace.lease)
    if lease is None:
        return None
    found = read_run(connections, run)
    if found.state in ENDED:
        connections.operations.release(lease)
        return None
    now = connections.clock.now()
    begun = replace(found, state=RunState.RUNNING, started_at=found.started_at or now, flow_run=flow_run)
    save_run(connections, begun)
    connections.queue.begin(run, now)
    plan = Plan.from_json((connections.operations.load("plans", run) or {}).get("plan"))
    configuration = configuration_at(connections, found.project, found.revision)
    checkouts = Checkouts(connections.source(found.project), found.revision, connections.home.work, run)
    expected, finished = expected_durations(connections, found.project), _finished(connections, found)
    return RunWork(connections, begun, plan, configuration, lease, checkouts, expected, finished)


def expected_durations(connections: Connections, project: str) -> dict[str, float]:
    """Seconds that the project's steps took lately, by the id of the planned step."""
    rows = connections.operations.find("durations", project=project)
    return {str(row["step"]): float(str(row["seconds"])) for row in rows}


def _finished(connections: Connections, run: Run) -> frozenset[str]:
    if run.started_at is None:
        return frozenset()
    told = connections.operations.find("steps", limit=_MOST_STEPS, below=run.id)
    return frozenset(str(step["id"]) for step in told if step.get("state") == StepState.COMPLETED.value)


def read_run(connections: Connections, run: str) -> Run:
    """A run by its id; NotFoundError when there is none."""
    document = connections.operations.load("runs", run)
    if document is None:
        raise NotFoundError(f"no run '{run}'", hint="shipline run starts one and prints its id")
    return Run.read(document)


def save_run(connections: Connections, run: Run) -> None:
    """Keep a run; a request to abort that came meanwhile stays."""
    current = connections.operations.load("runs", run.id)
    asked = current.get("abort_requested") if current else None
    kept = replace(run, abort_requested=str(asked)) if asked and run.abort_requested is None else run
    connections.operations.save("runs", run.id, run.project, kept.document())
