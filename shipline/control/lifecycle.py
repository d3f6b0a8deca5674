"""Starting and stopping the control plane of a home: `shipline up` and `shipline down`."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from delivery.adapters import processes
from delivery.adapters.private_home import close_home
from delivery.adapters.processes import Launch, ProcessIdentity
from delivery.errors import DeliveryError, PermanentError, TransientError
from delivery.home import Home
from shipline.control.lock import held, require_whole
from shipline.control.state import ControlState, read_state, write_state

_START_SECONDS = 180.0
_STOP_SECONDS = 75.0
"""More than the components' graces together."""
_LOOK_SECONDS = 0.05
_RESTARTS = 4
"""After so many failed starts of one component, waiting on is of no use."""
_STOP_ORDER = (("worker", signal.SIGTERM, 25.0), ("prefect", signal.SIGTERM, 10.0), ("postgresql", signal.SIGINT, 20.0))
_SETTINGS = (
    "SHIPLINE_HOST",
    "SHIPLINE_PORT",
    "SHIPLINE_PREFECT_PORT",
    "SHIPLINE_DATABASE_URL",
    "SHIPLINE_DATABASE_NAME",
)
_FAMILIES = ("SHIPLINE_KEEP_", "SHIPLINE_GATEWAY_")
"""What the names of its other settings begin with."""


@dataclass(frozen=True, slots=True)
class ControlPlaneState:
    """A control plane that is ready."""

    url: str
    prefect_url: str
    gateway_url: str | None
    """Where people's browsers go."""
    components: tuple[dict[str, Any], ...]
    """`{name, state, version, url, pid, memory_bytes}` of each."""
    started: bool
    """False when it ran already."""


def up(home: Home, say: Callable[[str], None] = lambda _: None) -> ControlPlaneState:
    """Start the control plane unless it runs, and return when all of it is ready; `say` is told what goes on."""
    require_whole(home)
    begun = time.monotonic()
    health, spawned = _wait_ready(home, say, begun + _START_SECONDS)
    state = read_state(home)
    started = spawned is not None and state.process == spawned  # somebody else may have been quicker
    if started:
        say(f"control plane ready after {time.monotonic() - begun:.1f} s: {state.url}, pages: {state.gateway_url}")
    components = tuple(health["components"])
    return ControlPlaneState(str(state.url), str(state.prefect_url), state.gateway_url, components, started)


def run_in_foreground(home: Home) -> None:
    """Be the control plane, for systemd and containers; returns after SIGTERM or SIGINT has stopped it in order."""
    from shipline.control.process import serve
    from shipline.control.settings import ControlSettings

    serve(home, ControlSettings.from_environment())


def down(home: Home, *, environments: bool = False) -> bool:
    """Stop the control plane, also what a crashed one left; deployed services stay unless `environments`.

    Gives whether anything ran.
    """
    state = read_state(home)
    ran = state.running
    if state.process and ran:
        processes.stop(state.process, _STOP_SECONDS, leader_only=True)
    ran = _stop_leftovers(home) or ran
    if environments:
        from delivery.adapters.local import stop_environments

        stop_environments(home)
    return ran


def _spawn(home: Home) -> ProcessIdentity:
    import os

    from shipline.control.components import PYTHON, component_environment

    close_home(home)
    log = home.control_logs / "control.log"
    processes.rotate(log)
    given = {name: text for name, text in os.environ.items() if name in _SETTINGS or name.startswith(_FAMILIES)}
    return processes.spawn(
        Launch((*PYTHON, "-m", "shipline.control"), home.root, log, {**component_environment(home), **given})
    )


def _wait_ready(
    home: Home, say: Callable[[str], None], deadline: float
) -> tuple[dict[str, Any], ProcessIdentity | None]:
    """The health document, once it says ready, and what was spawned for it.

    Whoever has the lock may be about to end, or only ask as we do: it is looked at again until somebody is ready.
    """
    told: dict[str, str] = {}
    spawned: ProcessIdentity | None = None
    while True:
        if spawned is None and not held(home):
            spawned = _spawn(home)
        health = _health(read_state(home))
        for one in health["components"] if health else []:
            line = f"{one['name']}: {one['state']}{': ' + one['message'] if one['message'] else ''}"
            if told.get(one["name"]) != line and one["state"] != "waiting":
                say(line)
            told[one["name"]] = line
        if health and health["ready"]:
            return health, spawned
        failing = [told[one["name"]] for one in health["components"] if one["restarts"] > _RESTARTS] if health else []
        _give_up(home, spawned, failing, deadline)
        time.sleep(_LOOK_SECONDS)


def _give_up(home: Home, spawned: ProcessIdentity | None, failing: list[str], deadline: float) -> None:
    """Raise when waiting longer is of no use."""
    doing = f"starting the control plane of {home.root}"
    log = home.control_logs / "control.log"
    if spawned and not processes.alive(spawned) and not held(home):
        raise PermanentError(f"{doing}: {processes.last_lines(log, 3) or 'it ended'}", hint=f"see {log}")
    if failing:
        raise PermanentError(f"{doing}: {'; '.join(failing)}", hint=f"see {log.parent}; stop it with: shipline down")
    if time.monotonic() > deadline:
        raise TransientError(f"{doing}: not ready in time", hint=f"see {log.parent}")


def _health(state: ControlState) -> dict[str, Any] | None:
    """What the control plane says of itself; None while it does not answer."""
    from shipline.cli.client import Address, Client

    if not (state.url and state.running):
        return None
    try:
        found = Client(Address(state.url, ""), seconds=5).get("/health")
    except DeliveryError:
        return None
    return found if isinstance(found, dict) else None


def _stop_leftovers(home: Home) -> bool:
    """End what a control plane that was killed left behind; whether there was anything."""
    from deployments.flow_processes import end_flow_processes, flow_processes

    state = read_state(home)
    left = _left(home, state)
    for name, number, grace in _STOP_ORDER:
        for one in left[name]:
            processes.stop(one, grace, number=number, leader_only=True)
    engines = flow_processes(home=home.root)
    end_flow_processes(engines, 5.0)
    if state.process or state.components:
        write_state(home, ControlState(ports=state.ports))
    return any(left.values()) or bool(engines)


def _left(home: Home, state: ControlState) -> dict[str, set[ProcessIdentity]]:
    """Living components by name: those on record, and those that nobody could write down any more."""
    from shipline.control.strays import running

    recorded = {name: {one} for name, one in state.components.items() if processes.alive(one)}
    return {name: recorded.get(name, set()) | set(running(home, name)) for name, *_ in _STOP_ORDER}
