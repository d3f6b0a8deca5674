"""Runs as the control plane takes them, over a real work tree and mirror: planned at once, or when it is their turn."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from delivery.adapters.git import SourceMirror
from delivery.errors import ConfigurationError
from delivery.home import Home
from delivery.plan import Plan
from delivery.run import Run, RunState
from shipline.control.control import Control
from shipline.control.dispatcher import tick
from shipline.control.planning import Asked
from shipline.control.projects import register
from shipline.control.requesting import request_run, start_run
from tests.fakes.connections import Installation
from tests.fakes.flow_runs import RecordedFlowRuns
from tests.fakes.shop import ADA
from tests.repositories import Made, Repository, make_repository

CONFIGURATION = "version: 1\nsteps: {unit: {command: make test}}\n"


class Place:
    """A registered work tree and the control plane that serves it."""

    def __init__(self, folder: Path) -> None:
        broken = Made({"shipline.yaml": "version: 7\n"}, label="broken")
        made = [Made({"shipline.yaml": CONFIGURATION}, label="good"), broken]
        self.repository: Repository = make_repository(folder, made)
        self.installation, home = Installation(Home(folder / "home")), Home(folder / "home")
        ports = replace(
            self.installation.connect(), source=lambda project: SourceMirror(home.source(project)).repository()
        )
        self.flow_runs = RecordedFlowRuns()
        self.control = Control(ports, self.flow_runs)
        self.project = str(register(ports, str(self.repository.folder), None, ADA)["slug"])

    def look(self, run: Run) -> Run:
        return Run.read(self.control.ports.operations.load("runs", run.id))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.installation.store.close()


def test_a_requested_run_waits_unplanned_and_starts_with_its_plan(place: Place) -> None:
    run = request_run(place.control, place.project, Asked(place.repository.ids["good"]), ADA)
    operations = place.control.ports.operations
    assert (run.state, run.plan_digest, "plan" in (operations.load("plans", run.id) or {})) == (
        RunState.QUEUED,
        None,
        False,
    )
    assert [one.subject for one in place.control.ports.queue.entries()] == [run.id]
    tick(place.control, thorough=False)
    assert [parameters for _, parameters in place.flow_runs.started.values()] == [{"run": run.id}]
    plan = Plan.from_json((operations.load("plans", run.id) or {})["plan"])
    assert [step.name for step in plan.steps] == ["unit"]
    assert place.look(run).plan_digest is not None


def test_what_cannot_be_planned_ends_errored_and_starts_nothing(place: Place) -> None:
    run = request_run(place.control, place.project, Asked(place.repository.ids["broken"]), ADA)
    tick(place.control, thorough=False)
    ended = place.look(run)
    assert (ended.state, ended.problem) == (
        RunState.ERRORED,
        "reading shipline.yaml: version must be 1, got the number 7",
    )
    assert (place.flow_runs.started, place.control.ports.queue.entries()) == ({}, [])


def test_what_is_planned_at_once_is_refused_at_once(place: Place) -> None:
    with pytest.raises(ConfigurationError):
        start_run(place.control, place.project, Asked(place.repository.ids["broken"]), ADA)
    assert place.control.ports.queue.entries() == []


@pytest.mark.parametrize("asked", [Asked("main"), Asked(), Asked(dirty=True)])
def test_only_a_full_commit_id_can_be_planned_later(place: Place, asked: Asked) -> None:
    with pytest.raises(ConfigurationError, match="needs a full commit id"):
        request_run(place.control, place.project, asked, ADA)


def test_the_same_request_twice_is_one_run(place: Place) -> None:
    asked = Asked(place.repository.ids["good"], request="delivery 17")
    first = request_run(place.control, place.project, asked, ADA)
    assert request_run(place.control, place.project, asked, ADA).id == first.id
    assert len(place.control.ports.queue.entries()) == 1
