"""The worker against a real Prefect server: flow runs start soon, in every pool, and none outlives it."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from delivery.adapters.postgresql.operations import PostgresqlOperations
from delivery.adapters.postgresql.urls import read_urls
from delivery.adapters.processes import Launch, spawn, stop, wait_until
from delivery.ports import Claim
from deployments.flow_processes import end_flow_processes, flow_processes
from deployments.placements import PlacedFlow
from deployments.prefect_placement import PrefectPlacement
from deployments.prefect_rest import PrefectRest
from deployments.warm_processes import WARM_NAME
from tests.servers.prefect import RunningPrefect, running_worker

pytestmark = [pytest.mark.integration, pytest.mark.slow]

_FLOWS = """
import asyncio, atexit, os, time
from pathlib import Path
from typing import Literal
from prefect import flow
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput

class Answer(RunInput):
    decision: Literal["approve", "reject", "recheck"] = "recheck"

@flow
async def probe(run: str) -> None:
    Path(run).write_text(f"{time.time()} {os.getpid()}")

@flow
async def count(run: str) -> None:
    with open(run, "a") as file:
        file.write("once")

@flow
async def wait(run: str) -> None:
    Path(run).write_text(f"{time.time()} {os.getpid()}")
    await asyncio.to_thread(time.sleep, 600)

@flow
async def nest(run: str) -> None:
    await wait(run)

@flow
async def linger(run: str) -> None:
    atexit.register(time.sleep, 1.0)
    answer = await suspend_flow_run(wait_for_input=Answer, key="gate", timeout=600)
    Path(run).write_text(answer.decision)

@flow
async def ask(run: str) -> None:
    answer = await suspend_flow_run(wait_for_input=Answer, key="gate", timeout=600)
    Path(run).write_text(answer.decision)
"""
PROBE, COUNT, WAIT, ASK, LINGER, NEST = (
    PlacedFlow(name, f"probe_flows.{name}", ("run",)) for name in ("probe", "count", "wait", "ask", "linger", "nest")
)
ABSENT = PlacedFlow("absent", "no_such_module.absent", ("run",))
_PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modules")
    (folder / "probe_flows.py").write_text(_FLOWS)
    return folder


@pytest.fixture(scope="module")
def placement(prefect_server: RunningPrefect) -> Iterator[PrefectPlacement]:
    found = PrefectPlacement(
        PrefectRest(f"{prefect_server.url}/api", prefect_server.auth),
        flows=(PROBE, COUNT, WAIT, ASK, LINGER, NEST, ABSENT),
    )
    yield found
    found.close()


@pytest.fixture
def operations(prefect_server: RunningPrefect) -> Iterator[PostgresqlOperations]:
    with closing(PostgresqlOperations(read_urls(prefect_server.home).application)) as found:
        yield found


@pytest.fixture
def worker(prefect_server: RunningPrefect, modules: Path) -> Iterator[None]:
    with running_worker(prefect_server, modules):
        yield


def begun(mark: Path) -> tuple[float, int]:
    """When a flow wrote its mark, and its process."""
    assert wait_until(lambda: mark.exists() and mark.read_text() != "", _PATIENCE_SECONDS)
    at, pid = mark.read_text().split()
    return float(at), int(pid)


def became(placement: PrefectPlacement, flow_run: str, state: str) -> bool:
    return wait_until(lambda: placement.state(flow_run) == state, _PATIENCE_SECONDS)


@pytest.mark.usefixtures("worker")
def test_a_flow_run_also_starts_in_a_pool_made_after_the_worker(placement: PrefectPlacement, tmp_path: Path) -> None:
    placement.ensure_deployments("late", [])
    mark = tmp_path / "mark"
    flow_run = placement.start("probe", "late", {"run": str(mark)}, key=str(mark))
    assert became(placement, flow_run, "COMPLETED")
    assert begun(mark)


@pytest.mark.usefixtures("worker")
def test_a_suspended_flow_run_is_woken_once_and_goes_on(placement: PrefectPlacement, tmp_path: Path) -> None:
    placement.ensure_deployments("gated", [])
    mark = tmp_path / "mark"
    flow_run = placement.start("ask", "gated", {"run": str(mark)}, key=str(mark))
    assert became(placement, flow_run, "PAUSED")
    assert placement.wake(flow_run)
    assert not placement.wake(flow_run)
    assert became(placement, flow_run, "COMPLETED")
    assert mark.read_text() == "recheck"


@pytest.mark.usefixtures("worker")
def test_a_flow_run_that_cannot_be_loaded_crashes_and_is_not_tried_for_ever(
    prefect_server: RunningPrefect, placement: PrefectPlacement, tmp_path: Path
) -> None:
    placement.ensure_deployments("absent", [])
    flow_run = placement.start("absent", "absent", {"run": str(tmp_path)}, key=str(tmp_path))
    assert became(placement, flow_run, "CRASHED")
    message = prefect_server.ask("GET", f"/flow_runs/{flow_run}").json()["state"]["message"]
    assert message == "loading no_such_module.absent: ModuleNotFoundError: No module named 'no_such_module'"


@pytest.mark.usefixtures("worker")
def test_a_flow_run_that_is_woken_before_its_process_has_ended_goes_on_soon(
    placement: PrefectPlacement, tmp_path: Path
) -> None:
    placement.ensure_deployments("hasty", [])
    mark = tmp_path / "mark"
    flow_run = placement.start("linger", "hasty", {"run": str(mark)}, key=str(mark))
    assert became(placement, flow_run, "PAUSED")
    assert placement.wake(flow_run)
    assert became(placement, flow_run, "COMPLETED")
    assert mark.read_text() == "recheck"


def test_no_flow_run_outlives_its_worker_and_prefect_is_told(
    prefect_server: RunningPrefect, placement: PrefectPlacement, modules: Path, tmp_path: Path
) -> None:
    """Prefect's own worker leaves such a run Running for ever."""
    placement.ensure_deployments("shop", [])
    mark = tmp_path / "mark"
    with running_worker(prefect_server, modules):
        flow_run = placement.start("wait", "shop", {"run": str(mark)}, key=str(mark))
        engine = begun(mark)[1]
    assert not psutil.pid_exists(engine)
    assert flow_processes(home=prefect_server.home.root) == []
    assert placement.state(flow_run) == "CRASHED"


def test_what_a_killed_worker_left_is_found_by_its_home(
    prefect_server: RunningPrefect, placement: PrefectPlacement, modules: Path, tmp_path: Path
) -> None:
    placement.ensure_deployments("shop", [])
    mark = tmp_path / "mark"
    with running_worker(prefect_server, modules):
        placement.start("wait", "shop", {"run": str(mark)}, key=str(mark))
        engine = begun(mark)[1]
        psutil.Process(psutil.Process(engine).ppid()).kill()
        left = flow_processes(home=prefect_server.home.root)
        assert engine in {process.pid for process in left}
        end_flow_processes(left, 2.0)
        assert flow_processes(home=prefect_server.home.root) == []


def test_prefects_own_command_starts_a_worker_of_the_type(
    prefect_server: RunningPrefect, placement: PrefectPlacement, modules: Path, tmp_path: Path
) -> None:
    placement.ensure_deployments("alone", [])
    mark = tmp_path / "mark"
    with prefects_command(prefect_server, modules, "alone.ci", tmp_path):
        flow_run = placement.start("probe", "alone", {"run": str(mark)}, key=str(mark))
        assert became(placement, flow_run, "COMPLETED")
        pool = prefect_server.ask("GET", "/work_pools/alone.ci").json()
        assert (pool["type"], pool["status"]) == ("shipline", "READY")
    assert flow_processes(home=prefect_server.home.root) == []


@contextmanager
def prefects_command(prefect: RunningPrefect, modules: Path, pool: str, folder: Path) -> Iterator[int]:
    """`prefect worker start`, as people type it; its process."""
    command = (sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "shipline")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{Path(__file__).parents[2]}:{modules}",
        "SHIPLINE_HOME": str(prefect.home.root),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"{prefect.url}/api",
        "PREFECT_API_AUTH_STRING": prefect.auth,
    }
    identity = spawn(Launch(command, folder, folder / "worker.log", environment))
    try:
        yield identity.pid
    finally:
        stop(identity, 20)


@pytest.mark.usefixtures("worker")
def test_cancelling_ends_the_process_and_prefect_is_told(
    prefect_server: RunningPrefect, placement: PrefectPlacement, tmp_path: Path
) -> None:
    placement.ensure_deployments("cancelled", [])
    mark = tmp_path / "mark"
    flow_run = placement.start("wait", "cancelled", {"run": str(mark)}, key=str(mark))
    process = begun(mark)[1]
    cancelling = {"state": {"type": "CANCELLING"}}
    prefect_server.ask("POST", f"/flow_runs/{flow_run}/set_state", cancelling).raise_for_status()
    assert became(placement, flow_run, "CANCELLED")
    assert wait_until(lambda: not psutil.pid_exists(process), 10)


@pytest.mark.usefixtures("worker")
def test_a_flow_run_that_is_killed_is_reported_at_once(placement: PrefectPlacement, tmp_path: Path) -> None:
    placement.ensure_deployments("killed", [])
    mark = tmp_path / "mark"
    flow_run = placement.start("wait", "killed", {"run": str(mark)}, key=str(mark))
    psutil.Process(begun(mark)[1]).kill()
    assert wait_until(lambda: placement.state(flow_run) == "CRASHED", 10)


@pytest.mark.usefixtures("worker")
def test_with_a_flow_run_that_is_killed_its_subflows_are_reported(
    prefect_server: RunningPrefect, placement: PrefectPlacement, tmp_path: Path
) -> None:
    placement.ensure_deployments("nested", [])
    mark = tmp_path / "mark"
    flow_run = placement.start("nest", "nested", {"run": str(mark)}, key=str(mark))
    (below,) = subflows(prefect_server, flow_run) if begun(mark) else ()
    psutil.Process(begun(mark)[1]).kill()
    assert became(placement, flow_run, "CRASHED")
    assert became(placement, below, "CRASHED")


def subflows(prefect: RunningPrefect, flow_run: str) -> list[str]:
    wanted = {"flow_runs": {"parent_flow_run_id": {"any_": [flow_run]}}}
    return [str(one["id"]) for one in prefect.ask("POST", "/flow_runs/filter", wanted).json()]


@pytest.mark.parametrize(
    ("stuck", "ends"), [("RUNNING", "CRASHED"), ("PENDING", "CRASHED"), ("CANCELLING", "CANCELLED")]
)
@pytest.mark.usefixtures("worker")
def test_what_prefect_shows_at_work_and_nobody_works_on_is_mended_within_a_minute(
    prefect_server: RunningPrefect, placement: PrefectPlacement, tmp_path: Path, stuck: str, ends: str
) -> None:
    """With its claim gone too: somebody set the state by hand, or a database went back to an older time."""
    placement.ensure_deployments("stuck", [])
    mark, nested = tmp_path / "mark", tmp_path / "nested"
    done = placement.start("probe", "stuck", {"run": str(mark)}, key=str(mark))
    parent = placement.start("nest", "stuck", {"run": str(nested)}, key=str(nested))
    psutil.Process(begun(nested)[1]).kill()
    (below,) = subflows(prefect_server, parent)
    for flow_run, end in ((done, "COMPLETED"), (parent, "CRASHED"), (below, "CRASHED")):
        assert became(placement, flow_run, end)
    for flow_run in (done, below):
        state = {"state": {"type": stuck}, "force": True}
        prefect_server.ask("POST", f"/flow_runs/{flow_run}/set_state", state).raise_for_status()
    for flow_run in (done, below):
        assert wait_until(lambda run=flow_run: placement.state(run) == ends, 60)  # type: ignore[misc]


@pytest.mark.usefixtures("worker")
def test_what_is_cancelled_before_it_starts_never_runs(
    prefect_server: RunningPrefect, placement: PrefectPlacement, tmp_path: Path
) -> None:
    placement.ensure_deployments("never", [])
    late = {
        "type": "SCHEDULED",
        "state_details": {"scheduled_time": (datetime.now(UTC) + timedelta(seconds=4)).isoformat()},
    }
    mark = tmp_path / "mark"
    deployment = prefect_server.ask("GET", "/deployments/name/probe/never").json()["id"]
    asked = {"parameters": {"run": str(mark)}, "state": late}
    flow_run = prefect_server.ask("POST", f"/deployments/{deployment}/create_flow_run", asked).json()["id"]
    prefect_server.ask("POST", f"/flow_runs/{flow_run}/set_state", {"state": {"type": "CANCELLED"}}).raise_for_status()
    time.sleep(6)
    assert (mark.exists(), placement.state(flow_run)) == (False, "CANCELLED")


@pytest.mark.usefixtures("worker")
def test_with_two_workers_every_flow_run_runs_once(
    prefect_server: RunningPrefect, placement: PrefectPlacement, modules: Path, tmp_path: Path
) -> None:
    placement.ensure_deployments("twice", [])
    with running_worker(prefect_server, modules):
        asked = [
            placement.start("count", "twice", {"run": str(tmp_path / f"{n}")}, key=f"twice-{n}") for n in range(12)
        ]
        assert all(became(placement, flow_run, "COMPLETED") for flow_run in asked)
    assert [(tmp_path / f"{number}").read_text() for number in range(12)] == ["once"] * 12


def test_a_flow_run_whose_worker_is_gone_is_reported_by_the_next_one(
    prefect_server: RunningPrefect,
    placement: PrefectPlacement,
    operations: PostgresqlOperations,
    modules: Path,
    tmp_path: Path,
) -> None:
    """As after a kill -9 of the control plane: a claim whose process is dead, a flow run that Prefect calls Running."""
    placement.ensure_deployments("orphan", [])
    with running_worker(prefect_server, modules):
        flow_run = placement.start("wait", "orphan", {"run": str(tmp_path / "mark")}, key="orphan")
        engine = psutil.Process(begun(tmp_path / "mark")[1])
        (claim,) = (one for one in operations.claims() if one.flow_run == flow_run)
        engine.kill()
        assert became(placement, flow_run, "CRASHED")
    running = {"state": {"type": "RUNNING"}, "force": True}
    prefect_server.ask("POST", f"/flow_runs/{flow_run}/set_state", running).raise_for_status()
    assert operations.claim(claim)
    with running_worker(prefect_server, modules):
        assert became(placement, flow_run, "CRASHED")
        assert wait_until(lambda: operations.claims() == [], 10)


def test_a_claim_that_could_not_be_settled_at_once_is_settled_later(
    prefect_server: RunningPrefect,
    placement: PrefectPlacement,
    operations: PostgresqlOperations,
    modules: Path,
    tmp_path: Path,
) -> None:
    """The database or Prefect may be away at the very moment when a flow run is lost."""
    placement.ensure_deployments("later", [])
    with running_worker(prefect_server, modules):
        flow_run = placement.start("probe", "later", {"run": str(tmp_path / "mark")}, key="later")
        assert became(placement, flow_run, "COMPLETED")
        running = {"state": {"type": "RUNNING"}, "force": True}
        prefect_server.ask("POST", f"/flow_runs/{flow_run}/set_state", running).raise_for_status()
        operations.claim(Claim(flow_run, "an-old-state", {"pid": 1, "started_at": -1.0, "boot": "another"}))
        assert became(placement, flow_run, "CRASHED")
        assert wait_until(lambda: operations.claims() == [], 10)


def test_a_worker_whose_warm_process_dies_gets_another_one(
    prefect_server: RunningPrefect, placement: PrefectPlacement, modules: Path, tmp_path: Path
) -> None:
    placement.ensure_deployments("cold", [])
    with prefects_command(prefect_server, modules, "cold.ci", tmp_path) as worker:
        first = placement.start("probe", "cold", {"run": str(tmp_path / "1")}, key="cold-1")
        assert became(placement, first, "COMPLETED")
        (warm,) = (one for one in psutil.Process(worker).children(recursive=True) if one.name() == WARM_NAME)
        warm.kill()
        second = placement.start("probe", "cold", {"run": str(tmp_path / "2")}, key="cold-2")
        assert became(placement, second, "COMPLETED")


def test_a_flow_run_cancelled_while_it_is_taken_up_never_runs(
    prefect_server: RunningPrefect, placement: PrefectPlacement, modules: Path, tmp_path: Path
) -> None:
    """Prefect's server lets it become Running all the same."""
    placement.ensure_deployments("late-cancel", [])
    marks = [tmp_path / f"{number}" for number in range(8)]
    with running_worker(prefect_server, modules):
        for mark in marks:
            flow_run = placement.start("probe", "late-cancel", {"run": str(mark)}, key=str(mark))
            time.sleep(0.02 * marks.index(mark))
            cancelled = {"state": {"type": "CANCELLED"}, "force": True}
            prefect_server.ask("POST", f"/flow_runs/{flow_run}/set_state", cancelled).raise_for_status()
            at = time.time()
            time.sleep(1.0)
            ran = mark.exists()
            assert not ran or begun(mark)[0] < at
            ends = {"CANCELLED", "COMPLETED"} if ran else {"CANCELLED"}
            assert wait_until(lambda run=flow_run, ends=ends: placement.state(run) in ends, 10)  # type: ignore[misc]
