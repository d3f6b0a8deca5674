"""From a flow run's request to its first line, alone and many at once: our worker beside Prefect's process worker.

`python -m bench.flow_run_start [RUNS]` starts a real Prefect server with a PostgreSQL, then each worker in turn.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.table import Row, markdown
from delivery.adapters import processes
from deployments.placements import PlacedFlow
from deployments.prefect_placement import PrefectPlacement
from deployments.prefect_rest import PrefectRest
from tests.servers.prefect import RunningPrefect, running_prefect, running_worker

_PROBE = """
import time
from pathlib import Path
from prefect import flow, task

@flow
async def probe(run: str) -> None:
    Path(run).write_text(str(time.time()))

@task
async def write(mark: str) -> None:
    with open(mark, "a") as file:
        file.write("done")

@flow(name="task")
async def with_task(run: str) -> None:
    await write(run)
"""
PROBE = PlacedFlow("probe", "bench_flows.probe", ("run",))
TASK = PlacedFlow("task", "bench_flows.with_task", ("run",))
_MANY, _FEW, _CLIENTS = 200, 12, 8
_PATIENCE_SECONDS = 60.0


def measured(runs: int = 15) -> list[Row]:
    """Both workers, one after the other on the same server."""
    with tempfile.TemporaryDirectory() as name, running_prefect() as prefect:
        folder = Path(name)
        (folder / "bench_flows.py").write_text(_PROBE)
        placement = PrefectPlacement(PrefectRest(f"{prefect.url}/api", prefect.auth), flows=(PROBE, TASK))
        ours = started(prefect, placement, folder, "warm", runs, "shipline")
        theirs = started(prefect, placement, folder, "cold", runs, "process")
        many = at_once(prefect, placement, folder, "warm", _MANY, "shipline")
        few = at_once(prefect, placement, folder, "cold-many", _FEW, "process")
    beside = ("Prefect's process worker, looking twice a second", statistics.median(theirs))
    crowd = f"one-task flow runs, {_MANY} requested at once, each done once"
    return [
        Row("flow run, from its request to its first line", ours, "s", 0.20, beside=beside),
        Row(crowd, [many], "runs/s", 8, more_is_better=True, beside=(f"Prefect's process worker, {_FEW} at once", few)),
    ]


def started(
    prefect: RunningPrefect, placement: PrefectPlacement, folder: Path, project: str, runs: int, kind: str
) -> list[float]:
    """Seconds of each of so many flow runs, one after another; the first, in which things are made, left out."""
    placement.ensure_deployments(project, [])
    worker = running_worker(prefect, folder) if kind == "shipline" else process_worker(prefect, folder, project)
    with worker:
        first_line(placement, folder, project, "first")
        return [first_line(placement, folder, project, f"{project}-{number}") for number in range(runs)]


def at_once(
    prefect: RunningPrefect, placement: PrefectPlacement, folder: Path, project: str, runs: int, kind: str
) -> float:
    """Flow runs a second, from the first request until the last has done its task."""
    placement.ensure_deployments(project, [])
    worker = running_worker(prefect, folder) if kind == "shipline" else process_worker(prefect, folder, project)
    with worker:
        first_line(placement, folder, project, f"ready again for {kind}")
        marks = [folder / f"{project}-many-{number}.mark" for number in range(runs)]
        begun = time.monotonic()
        with ThreadPoolExecutor(_CLIENTS) as clients:
            list(clients.map(lambda mark: placement.start("task", project, {"run": str(mark)}, key=str(mark)), marks))
        assert processes.wait_until(lambda: all(mark.exists() for mark in marks), _PATIENCE_SECONDS * 5)
        spent = time.monotonic() - begun
        time.sleep(1.0)
        assert [mark.read_text() for mark in marks] == ["done"] * runs
    return runs / spent


def first_line(placement: PrefectPlacement, folder: Path, project: str, name: str) -> float:
    """Seconds from the answer to the request until the flow's first line."""
    mark = folder / f"{project}-{name}.mark"
    placement.start("probe", project, {"run": str(mark)}, key=str(mark))
    asked = time.time()
    assert processes.wait_until(lambda: mark.exists() and mark.read_text() != "", _PATIENCE_SECONDS)
    time.sleep(1.0)
    return float(mark.read_text()) - asked


@contextmanager
def process_worker(prefect: RunningPrefect, folder: Path, project: str) -> Iterator[None]:
    """Prefect's own, on a pool of its own, looking every half second."""
    pool = f"{project}.process"
    prefect.ask("POST", "/work_pools/", {"name": pool, "type": "process"}).raise_for_status()
    for flow in ("probe", "task"):
        deployment = prefect.ask("GET", f"/deployments/name/{flow}/{project}").json()["id"]
        prefect.ask("PATCH", f"/deployments/{deployment}", {"work_pool_name": pool}).raise_for_status()
    command = (sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process")
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(folder),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"{prefect.url}/api",
        "PREFECT_API_AUTH_STRING": prefect.auth,
        "PREFECT_WORKER_QUERY_SECONDS": "0.5",
    }
    identity = processes.spawn(processes.Launch(command, folder, folder / "worker.log", environment))
    try:
        yield
    finally:
        processes.kill(identity)


if __name__ == "__main__":
    print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 15)))
