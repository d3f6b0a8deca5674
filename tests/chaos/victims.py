"""Victims: what can be killed, and how it is found."""

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from delivery.adapters.local.data_plane import DataPlane
from delivery.adapters.local.state import EnvironmentState, local_targets
from delivery.adapters.local.wanted import is_router
from delivery.adapters.processes import alive
from deployments.flow_processes import flow_processes
from shipline.control.state import read_state
from tests.chaos.ground import Ground
from tests.chaos.sight import Sight

APPEARS_SECONDS = 5.0
_WHO_WORKS = """
SELECT (c.process->>'pid')::int FROM claims c JOIN queue q ON q.flow_run = c.flow_run WHERE q.subject = %s
"""
Find = Callable[[Ground, Sight, str, random.Random], list[int]]
"""Process ids, by the run or promotion that the moment is about."""


def flow_run(ground: Ground, sight: Sight, subject: str, dice: random.Random) -> list[int]:
    """The process that works on it, or any that works on something."""
    living = {one.pid for one in flow_processes(home=ground.home.root)}
    meant = living & {pid for (pid,) in sight.rows("shipline", _WHO_WORKS, subject)}
    return sorted(meant) or dice.sample(sorted(living), min(len(living), 1))


def component(name: str) -> Find:
    """One process of the control plane, which brings it back."""

    def find(ground: Ground, _sight: Sight, _subject: str, _dice: random.Random) -> list[int]:
        found = read_state(ground.home).components.get(name)
        return [found.pid] if found and alive(found) else []

    return find


def control(ground: Ground, _sight: Sight, _subject: str, _dice: random.Random) -> list[int]:
    """The control plane's own process, which supervises the others."""
    process = read_state(ground.home).process
    return [process.pid] if process and alive(process) else []


def control_plane(ground: Ground, sight: Sight, subject: str, dice: random.Random) -> list[int]:
    """All of it, and every run."""
    components = [component(name)(ground, sight, subject, dice) for name in ("worker", "prefect", "postgresql")]
    runs = [one.pid for one in flow_processes(home=ground.home.root)]
    return [*control(ground, sight, subject, dice), *(pid for found in components for pid in found), *runs]


def supervisor(ground: Ground, _sight: Sight, _subject: str, _dice: random.Random) -> list[int]:
    """The data plane's."""
    found = DataPlane(ground.home).supervisor()
    return [found.pid] if found else []


def router(ground: Ground, _sight: Sight, _subject: str, dice: random.Random) -> list[int]:
    """That of one deployed service."""
    seen = [EnvironmentState(ground.home, target).observation() for target in local_targets(ground.home)]
    routers = [one.pid for found in seen for one in found.processes if is_router(one.id) and one.pid]
    return dice.sample(routers, min(len(routers), 1))


VICTIMS: Mapping[str, Find] = {
    "flow run": flow_run,
    "worker": component("worker"),
    "Prefect": component("prefect"),
    "PostgreSQL": component("postgresql"),
    "control process": control,
    "whole control plane": control_plane,
    "data plane's supervisor": supervisor,
    "router": router,
}


def kill(victim: str, ground: Ground, sight: Sight, subject: str, dice: random.Random) -> int:
    """How many processes were killed with -9."""
    found = appeared(VICTIMS[victim], ground, sight, subject, dice)
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(found)


def appeared(find: Find, ground: Ground, sight: Sight, subject: str, dice: random.Random) -> list[int]:
    """What is found; one that is not there at the moment is waited for a little."""
    deadline = time.monotonic() + APPEARS_SECONDS
    while not (found := find(ground, sight, subject, dice)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found
