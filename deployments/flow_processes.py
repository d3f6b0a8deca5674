"""The processes of flow runs: found by looking, so that none outlives the control plane, whoever started it."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from delivery.adapters.processes import ProcessIdentity, alive
from deployments.warm_processes import FLOW_RUN_NAME

_DATA_PLANE = "delivery.adapters.local"


def flow_processes(*, parent: int | None = None, home: Path | None = None) -> list[psutil.Process]:
    """Flow runs below a worker, or everything of a home that an earlier worker left behind."""
    found = []
    for process in psutil.Process(parent).children(recursive=True) if parent else psutil.process_iter():
        with suppress(psutil.Error):
            of_home = home is None or process.environ().get("SHIPLINE_HOME") == str(home)
            if process.name() == FLOW_RUN_NAME and of_home and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end_flow_processes(runs: Iterable[psutil.Process], grace_seconds: float) -> None:
    """Ask flow runs to end, wait, then kill what is left of them; locally deployed services are not theirs."""
    asked = list(runs)
    steps = [step for run in asked for step in _steps(run)]
    for run in asked:
        with suppress(psutil.Error):
            run.terminate()
    psutil.wait_procs(asked, grace_seconds)
    left = [process for process in (*steps, *asked) if process.is_running()]
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, grace_seconds)


def _steps(run: psutil.Process) -> Sequence[psutil.Process]:
    """What a flow run started, but for the data plane, which outlives it."""
    found: list[psutil.Process] = []
    with suppress(psutil.Error):
        for child in run.children():
            if not any(_DATA_PLANE in argument for argument in child.cmdline()):
                found += [child, *child.children(recursive=True)]
    return found


async def until_ended(process: ProcessIdentity) -> None:
    """Return once a process has ended, whoever started it."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    loop.add_reader(descriptor, over.set)
    try:
        if alive(process):  # otherwise its number has gone to another
            await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
