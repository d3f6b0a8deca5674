"""Steps with the real runner, fixtures, store and cache of a home."""

import shlex
import sys
import threading
from pathlib import Path

import pytest

from delivery.adapters.local_steps import local_step_ports
from delivery.artifact import digest_of
from delivery.config import Fixture, PostgresqlFixture, Reports, Step
from delivery.home import Home
from delivery.plan import Action, PlannedStep
from delivery.step import StepResult, StepState
from delivery.step_execution import StepOrder, execute_step, reuse_step

PLANNED = PlannedStep("unit", None, Action.RUN, (), (), digest_of(b"key"))
SUITE = """
import base64, os
print("token", os.environ["TOKEN"], base64.b64encode(os.environ["TOKEN"].encode()).decode())
open("junit.xml", "w").write('<testsuite><testcase name="t"/></testsuite>')
"""


def execute(tmp_path: Path, step: Step, shown: list[str] | None = None) -> StepResult:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "suite.py").write_text(SUITE)
    order = StepOrder(
        PLANNED,
        step,
        {"db": Fixture(postgresql=PostgresqlFixture(database="shop"))},
        checkout,
        lambda _folder: None,
        tmp_path / "private",
        tmp_path / "unit.log",
        {"SHIPLINE_RUN": "1"},
    )
    show = shown.append if shown is not None else None
    return execute_step(order, local_step_ports(Home(tmp_path / "home")), lambda _: "hunter2", threading.Event(), show)


def test_a_suite_runs_with_its_tools_and_comes_back_from_the_cache(tmp_path: Path) -> None:
    shown: list[str] = []
    step = Step(
        command="python3 suite.py && ls $HOME",
        tools=["python3"],
        secrets={"TOKEN": "secret:TOKEN"},
        outputs=["junit.xml"],
        reports=Reports(junit=["junit.xml"]),
    )
    done = execute(tmp_path, step, shown)
    assert (done.state, done.reason, done.report.tests) == (StepState.COMPLETED, "", 1)
    assert shown == ["token *** ***"]
    ports = local_step_ports(Home(tmp_path / "home"))
    again = reuse_step(PLANNED, ports.store, ports.cache, tmp_path / "again.log")
    assert again is not None
    assert (again.state, again.outputs, again.report) == (StepState.CACHED, done.outputs, done.report)
    assert (tmp_path / "again.log").read_bytes() == (tmp_path / "unit.log").read_bytes()


@pytest.mark.integration
def test_a_step_uses_its_postgresql(tmp_path: Path) -> None:
    command = (
        f"{shlex.quote(sys.executable)} - <<'END'\n"
        "import os, psycopg\n"
        "with psycopg.connect(os.environ['DATABASE_URL']) as connection:\n"
        "    print(connection.execute('SELECT current_database()').fetchone())\n"
        "END"
    )
    step = Step(command=command, fixtures=["db"])
    shown: list[str] = []
    done = execute(tmp_path, step, shown)
    assert (done.state, "('shop',)" in shown) == (StepState.COMPLETED, True), shown
    assert any(line.startswith("[db] ") and "ready to accept connections" in line for line in shown)


def test_a_step_out_of_time_is_errored_and_leaves_no_process(tmp_path: Path) -> None:
    done = execute(tmp_path, Step(command="sleep 60 & sleep 60", timeout_seconds=0.3))
    assert (done.state, done.reason) == (StepState.ERRORED, "timed out after 0.3 s")
    assert done.seconds < 30


def test_a_command_that_does_not_exist_is_errored(tmp_path: Path) -> None:
    done = execute(tmp_path, Step(command="no-such-tool --test"))
    assert (done.state, done.reason) == (StepState.ERRORED, "exited with 127: command not found")
    assert b"no-such-tool: command not found" in (tmp_path / "unit.log").read_bytes()
