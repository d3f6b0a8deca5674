"""Steps that cannot run, die, hang, shout, leave children or speak no UTF-8 are told apart, and leave nothing."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Make
from tests.e2e.project import Document, Project
from tests.servers.installation import Installation, until

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]
MOST_BYTES = 450_000_000
"""Of memory that one process of an installation may take while a step writes a gigabyte."""
SLEEPS = "86397"
"""Seconds that nothing else on this machine sleeps for."""
BAD = {
    "absent": {"command": ["no-such-program", "--help"]},
    "killed": {"command": "kill -9 $$"},
    "late": {"command": f"trap '' TERM; sleep {SLEEPS} & wait", "timeout_seconds": 1},
    "failing": {"command": "echo two of three; exit 3"},
    "shouting": {"command": "head -c 1000000000 /dev/zero | tr '\\0' 'x'"},
    "leaving": {"command": f"sleep {SLEEPS} & setsid sleep {SLEEPS} & disown -a; exit 0"},
    "garbled": {"command": "printf 'caf\\xe9 \\xff\\xfe\\n'"},
    "after": {"command": "true", "needs": ["failing"]},
}
EXPECTED = {
    "absent": ("Errored", "no-such-program"),
    "killed": ("Errored", "SIGKILL"),
    "late": ("Errored", "1 s"),
    "failing": ("Failed", "3"),
    "shouting": ("Completed", ""),
    "leaving": ("Completed", ""),
    "garbled": ("Completed", ""),
    "after": ("Skipped", "failing Failed"),
}


def test_every_bad_end_has_its_state_and_its_reason_and_leaves_nothing(make: Make, shipline: Installation) -> None:
    project = make("steps", {"version": 1, "steps": BAD})
    with watched_memory(shipline) as memory:
        run = project.ask("run", check=3)
    assert run["state"] == "Errored"
    assert {one["name"]: one["state"] for one in run["steps"]} == {name: end for name, (end, _) in EXPECTED.items()}
    for one in run["steps"]:
        assert EXPECTED[one["name"]][1] in one["reason"], one
    assert memory.most < MOST_BYTES
    assert sleeping() == []

    said = {name: project.cli("logs", run["id"], "--step", name).out for name in BAD if name != "after"}
    assert said["garbled"].startswith("caf")
    assert "two of three" in said["failing"]
    assert len(said["shouting"]) < 100_000_000
    assert "is dropped" in said["shouting"][-200:]
    assert project.ask("logs", run["id"], "--step", "garbled")["lines"]
    assert project.ask("plan")["deploys"] == [], "a library is not deployed"


def test_a_lost_run_is_retried_under_its_id(make: Make, tmp_path: Path) -> None:
    first_time = f"test -e {tmp_path}/seen || {{ touch {tmp_path}/seen; kill -9 $$; }}"
    project = make("flaky", {"version": 1, "steps": {"once": {"command": first_time}, "fine": {"command": "true"}}})
    lost = project.ask("run", check=3)
    assert states(lost) == {"once": "Errored", "fine": "Completed"}
    again = project.ask("retry", lost["id"])
    assert (again["id"], again["state"]) == (lost["id"], "Completed")
    assert states(again) == {"once": "Completed", "fine": "Cached"}
    assert "only one that is Errored, Failed or Cancelled can be retried" in project.refused("retry", lost["id"])
    assert "has ended: Completed" in project.refused("abort", lost["id"], "--reason", "too late")


def test_a_failed_run_goes_on_from_the_failed_step_under_its_id(make: Make, tmp_path: Path) -> None:
    steps = {
        "before": {"command": "date +%N > out; cat out", "outputs": ["out"]},
        "weather": {"command": f"cat out; test -e {tmp_path}/sunny", "needs": ["before"]},
        "after": {"command": "echo after", "needs": ["weather"]},
    }
    project = make("weather", {"version": 1, "steps": steps})
    failed = project.ask("run", check=1)
    assert states(failed) == {"before": "Completed", "weather": "Failed", "after": "Skipped"}
    said = project.ask("logs", failed["id"], "--step", "before")["lines"]
    (tmp_path / "sunny").touch()
    again = project.ask("retry", failed["id"])
    assert (again["id"], again["state"]) == (failed["id"], "Completed")
    assert states(again) == {"before": "Cached", "weather": "Completed", "after": "Completed"}
    assert project.ask("logs", failed["id"], "--step", "before")["lines"] == said


def test_a_run_is_given_up_waiting_for_and_then_aborted_with_everything_it_started(make: Make) -> None:
    project = make("endless", {"version": 1, "steps": {"endless": {"command": f"sleep {SLEEPS}"}}})
    run = project.ask("run", "--timeout", "0", check=5)
    until(lambda: is_running(project, run["id"]), "the step to run")
    with project.installation.following("run", cwd=project.folder) as follower:
        assert project.ask("abort", run["id"], "--reason", "wrong branch")["id"] == run["id"]
        assert follower.wait(120) == 4, "asking for the same work again is the same run"
    ended = project.installation.look("runs", run["id"])
    assert (ended["state"], states(ended)) == ("Cancelled", {"endless": "Cancelled"})
    assert sleeping() == []


def states(run: Document) -> dict[str, str]:
    return {one["name"]: one["state"] for one in run["steps"]}


def is_running(project: Project, run: str) -> bool:
    return "Running" in states(project.installation.look("runs", run)).values()


def sleeping() -> list[int]:
    """What the steps have left behind."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if SLEEPS in process.cmdline():
                found.append(process.pid)
    return found


@dataclass(slots=True)
class Memory:
    """The most that any one process took, in bytes."""

    most: int = 0


@contextmanager
def watched_memory(installation: Installation) -> Iterator[Memory]:
    seen, over = Memory(), threading.Event()

    def look() -> None:
        while not over.is_set():
            for process in installation.processes():
                with suppress(psutil.Error):
                    seen.most = max(seen.most, process.memory_info().rss)
            time.sleep(1)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()
