"""The logs of a run over the HTTP API: every one by name and size, each by its step's name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.artifact import digest_of
from delivery.home import Home
from delivery.plan import Action, Plan, PlannedService, PlannedStep
from delivery.run import Run, RunState
from delivery.running.work import save_run
from delivery.source import ChangeSet, Revision
from tests.fakes.connections import Installation
from tests.fakes.door import Door
from tests.fakes.shop import PROJECT

COMMIT = "4f3a2b1c" * 5
KEY = digest_of(b"key")
PLAN = Plan(
    project=PROJECT,
    revision=Revision(COMMIT),
    version="1.0.0",
    changes=ChangeSet(None, "everything counts", COMMIT, ()),
    services=(PlannedService("api", impacted=True, because=(), build_key=KEY),),
    steps=tuple(
        PlannedStep(name, service, Action.RUN, (), (), KEY, {"inputs": KEY})
        for name, service in (("lint", None), ("unit", "api"))
    ),
    deploys=(),
)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Door]:
    """The API over a run `r` whose step `unit@api` and build have written, and whose `lint` has not."""
    installation = Installation(Home(tmp_path))
    ports = installation.connect()
    ports.operations.save("plans", "r", PROJECT, {"plan": PLAN.to_json()})
    now = installation.clock.now()
    save_run(ports, Run("r", PROJECT, COMMIT, None, now, "ada").ended(RunState.COMPLETED, "", now))
    folder = ports.home.run_logs("r")
    folder.mkdir(parents=True)
    (folder / "build:api.log").write_bytes(b"packed\n")
    (folder / "unit@api.log").write_bytes(b"one\ntwo\n")
    yield Door(ports)
    installation.store.close()


def test_a_run_names_the_logs_that_were_begun_in_the_order_of_its_plan(api: Door) -> None:
    assert api.get("/runs/r").json()["logs"] == [{"name": "unit@api", "bytes": 8}, {"name": "build:api", "bytes": 7}]


def test_a_run_is_followed_without_what_its_keys_are_made_of(api: Door) -> None:
    """It is asked for several times a second."""
    steps = api.get("/runs/r").json()["plan"]["steps"]
    assert [(one["name"], one["key"], "components" in one) for one in steps] == [
        ("lint", KEY, False),
        ("unit", KEY, False),
    ]


def test_a_steps_and_a_builds_log_are_read_by_their_names(api: Door) -> None:
    read = {step: api.get("/runs/r/logs", step=step) for step in ("unit@api", "build:api", "lint")}
    assert {step: (one.content, one.headers["X-Finished"]) for step, one in read.items()} == {
        "unit@api": (b"one\ntwo\n", "true"),
        "build:api": (b"packed\n", "true"),
        "lint": (b"", "true"),
    }


def test_an_unknown_step_is_not_found_and_names_those_that_are_known(api: Door) -> None:
    answer = api.get("/runs/r/logs", step="../unti")
    assert (answer.status_code, answer.json()["error"]) == (
        404,
        {
            "code": "not_found",
            "message": "reading the log of step '../unti' of run r: there is no such step",
            "hint": "known are: lint, unit@api, build:api",
            "where": "",
        },
    )


def test_a_whole_run_has_no_log_of_its_own(api: Door) -> None:
    answer = api.get("/runs/r/logs")
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        422,
        "reading the log of run r: each of its steps has its own",
    )
