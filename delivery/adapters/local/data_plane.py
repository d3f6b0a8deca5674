"""The data plane of one home as seen from outside: is its supervisor there, start it, stop everything."""

import json
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from delivery.adapters import processes
from delivery.adapters.local.launching import MARK
from delivery.adapters.local.state import EnvironmentState, Observation, ProcessRecord, local_targets
from delivery.adapters.processes import Launch, ProcessIdentity
from delivery.errors import PermanentError, TransientError
from delivery.home import Home
from delivery.runner import SYSTEM_PATH

_START_SECONDS = 20.0
_STOP_SECONDS = 5.0
_BEAT_SECONDS = 15.0
"""A supervisor whose record is older than this does not look at anything: it is stopped or hangs."""


@dataclass(frozen=True, slots=True)
class DataPlane:
    """Where a home's supervisor leaves its traces."""

    home: Home

    @property
    def record(self) -> Path:
        """Process id, start time and boot; touched every second."""
        return self.home.data_plane / "supervisor.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for as long as it lives."""
        return self.home.data_plane / "supervisor.lock"

    @property
    def stopped(self) -> Path:
        """There after `stop_environments`, until something is started on purpose."""
        return self.home.data_plane / "stopped"

    @property
    def log(self) -> Path:
        """What the supervisor has to say."""
        return self.home.data_plane / "supervisor.log"

    def supervisor(self) -> ProcessIdentity | None:
        """The running supervisor; None when there is none."""
        try:
            identity = ProcessIdentity.read(json.loads(self.record.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return identity if processes.alive(identity) else None

    def watched(self) -> bool:
        """Whether a supervisor lives and looks."""
        with suppress(OSError):
            return time.time() - self.record.stat().st_mtime < _BEAT_SECONDS and self.supervisor() is not None
        return False


def ensure_supervisor(home: Home) -> None:
    """Return with a supervisor that looks; started if need be, replaced if it hangs. TransientError if none starts."""
    plane = DataPlane(home)
    if plane.watched():
        return
    hanging = plane.supervisor()
    if hanging:
        # The leader only: what it started must live on.
        processes.ask(hanging, signal.SIGKILL, leader_only=True)
    processes.rotate(plane.log)
    starter = processes.spawn(_launch(home, plane.log))
    if not processes.wait_until(plane.watched, _START_SECONDS):
        raise TransientError(f"starting the data plane's supervisor: {processes.last_lines(plane.log) or 'no answer'}")
    processes.exit_code(starter)


def start_environments(home: Home) -> None:
    """Run what was rolled out here, after a reboot or `stop_environments`; nothing to do when nothing ever was."""
    DataPlane(home).stopped.unlink(missing_ok=True)
    if local_targets(home):
        ensure_supervisor(home)


def keep_environments(home: Home) -> None:
    """Replace a supervisor that died or hangs; nothing to do after `stop_environments` or when nothing ever ran."""
    if not DataPlane(home).stopped.exists() and local_targets(home):
        ensure_supervisor(home)


def stop_environments(home: Home) -> None:
    """Stop the supervisor, then every service and router of this home, and return when all are gone."""
    plane = DataPlane(home)
    if not home.data_plane.exists():
        return
    plane.stopped.touch()
    _stop_supervisor(plane)
    states = [EnvironmentState(home, target) for target in local_targets(home)]
    records = [record for state in states for record in _recorded(state)]
    running = {record.identity for record in records if record.identity} | set(marked_processes(home))
    for identity in running:
        processes.ask(identity)
    grace = max((record.grace_seconds for record in records), default=0.0)
    processes.wait_until(lambda: all(map(processes.gone, running)), grace)
    for identity in running:
        processes.kill(identity)
    processes.wait_until(lambda: all(map(processes.gone, running)), _STOP_SECONDS)
    for state in states:
        state.write_observation(Observation())


def _recorded(state: EnvironmentState) -> tuple[ProcessRecord, ...]:
    """A state that cannot be read must not keep anything running: its processes are found by their marks."""
    with suppress(PermanentError):
        return state.observation().processes
    return ()


def marked_processes(home: Home) -> dict[ProcessIdentity, str]:
    """Session leaders that a supervisor of this home has started, with the mark in their environment."""
    prefix = f"{home.data_plane}/"
    return {identity: mark for identity, mark in processes.session_leaders(MARK).items() if mark.startswith(prefix)}


def _launch(home: Home, log: Path) -> Launch:
    """Started by a shell that ends at once: whoever stops its own descendants must not find a supervisor there."""
    home.data_plane.mkdir(parents=True, exist_ok=True)
    supervisor = (sys.executable, "-Im", "delivery.adapters.local.supervisor", str(home.root))
    return Launch(
        arguments=("sh", "-c", '"$@" &', "sh", *supervisor),
        folder=home.data_plane,
        log=log,
        environment={"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"},
    )


def _stop_supervisor(plane: DataPlane) -> None:
    identity = plane.supervisor()
    if identity is None:
        return
    processes.ask(identity, leader_only=True)
    if not processes.wait_until(lambda: not processes.alive(identity), _STOP_SECONDS):
        processes.ask(identity, signal.SIGKILL, leader_only=True)
        processes.wait_until(lambda: not processes.alive(identity), _STOP_SECONDS)
