"""The processes of flow runs: found by looking, so that none outlives the control plane, whoever started it."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

_FLOW_RUN = "PREFECT__FLOW_RUN_ID"
_DATA_PLANE = "delivery.adapters.local"


def flow_processes(*, parent: int | None = None, home: Path | None = None) -> list[psutil.Process]:
    """Engines of flow runs: children of a worker, or everything of a home that an earlier worker left behind."""
    found = []
    for process in psutil.Process(parent).children() if parent else psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            of_home = home is None or environment.get("SHIPLINE_HOME") == str(home)
            if _FLOW_RUN in environment and of_home and "prefect.engine" in process.cmdline():
                found.append(process)
    return found


def end_flow_processes(engines: Iterable[psutil.Process], grace_seconds: float) -> None:
    """Ask flow runs to end, wait, then kill what is left of them; locally deployed services are not theirs."""
    asked = list(engines)
    steps = [step for engine in asked for step in _steps(engine)]
    for engine in asked:
        with suppress(psutil.Error):
            engine.terminate()
    psutil.wait_procs(asked, grace_seconds)
    left = [process for process in (*steps, *asked) if process.is_running()]
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, grace_seconds)


def _steps(engine: psutil.Process) -> Sequence[psutil.Process]:
    """What an engine started, but for the data plane, which outlives it."""
    found: list[psutil.Process] = []
    with suppress(psutil.Error):
        for child in engine.children():
            if not any(_DATA_PLANE in argument for argument in child.cmdline()):
                found += [child, *child.children(recursive=True)]
    return found
