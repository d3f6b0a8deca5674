"""A project that declares no service: every answer says so, and none sends anybody in a circle."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.home import Home
from delivery.ledger import Draft
from delivery.plan import Plan
from delivery.run import Run, RunState
from delivery.running.work import save_run
from delivery.source import ChangeSet, Revision
from shipline.control.library_notes import NOTHING_DEPLOYED, note_of_run
from tests.fakes.connections import Installation
from tests.fakes.door import Door
from tests.fakes.shop import ADA, PROJECT, Shop


@pytest.fixture
def commit() -> str:
    return "4f3a2b1c" * 5


@pytest.fixture
def installation(tmp_path: Path, commit: str) -> Iterator[Installation]:
    """A library whose only revision was tested by run `r`."""
    made = Installation(Home(tmp_path))
    now = made.clock.now()
    project = {"slug": PROJECT, "source": "memory", "default_branch": "main", "location": "https://git.example/shop"}
    tested = {"commit": commit, "run": "r", "release": None, "based_on": None, "branch": "main"}
    facts = (("project.registered", project), ("revision.tested", tested))
    made.ledger.append(PROJECT, [Draft(kind, body, ADA, now) for kind, body in facts])
    plan = Plan(PROJECT, Revision(commit), "1.2.0", ChangeSet(None, "", commit, ()), (), (), ())
    made.operations.save("plans", "r", PROJECT, {"plan": plan.to_json()})
    save_run(made.connect(), Run("r", PROJECT, commit, None, now, "ada").ended(RunState.COMPLETED, "", now))
    yield made
    made.store.close()


def test_a_run_names_the_version_and_says_that_nothing_is_deployed(installation: Installation) -> None:
    run = Door(installation.connect()).get("/runs/r").json()
    assert (run["state"], run["note"]) == ("Completed", f"version 1.2.0; {NOTHING_DEPLOYED}")


def test_a_run_that_failed_or_has_services_says_no_such_thing(installation: Installation, commit: str) -> None:
    run = Run("r", PROJECT, commit, None, installation.clock.now(), "ada")
    assert note_of_run(run, {"version": "1", "services": []}) == ""
    done = run.ended(RunState.COMPLETED, "", installation.clock.now())
    assert note_of_run(done, {"version": "1", "services": [{"name": "api"}]}) == ""


def test_status_says_that_nothing_is_deployed(installation: Installation) -> None:
    status = Door(installation.connect()).get(f"/projects/{PROJECT}/status").json()
    assert (status["environments"], status["note"]) == ([], NOTHING_DEPLOYED)


def test_promoting_says_that_there_is_nothing_to_promote(installation: Installation, commit: str) -> None:
    installation.source.names[commit] = commit
    asked = {"what": commit, "environment": "dev"}
    answer = Door(installation.connect()).ask("POST", f"/projects/{PROJECT}/promotions", json=asked)
    assert (answer.status_code, answer.json()["error"]) == (
        422,
        {
            "code": "configuration",
            "message": (
                f"promoting {commit}: revision {commit[:12]} was tested and makes no release; {NOTHING_DEPLOYED}"
            ),
            "hint": "to deploy something, declare a service in shipline.yaml",
            "where": "",
        },
    )


def test_a_project_with_services_has_no_such_note(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.version()
    assert Door(shop.connections).get(f"/projects/{PROJECT}/status").json()["note"] == ""
