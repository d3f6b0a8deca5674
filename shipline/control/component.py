"""What the control plane supervises: one process each, and how it is."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from delivery.adapters.processes import Launch, ProcessIdentity, spawn


class State(StrEnum):
    """How a component is."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    UNRESPONSIVE = "unresponsive"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Component:
    """One process of the control plane. Its functions block, and are called on threads."""

    name: str
    version: str
    launch: Callable[[], Launch]
    """Prepares what is needed and says what to start; called again for every start."""
    ready: Callable[[], bool]
    log: Path
    """Where its output goes, whoever started it."""
    spawn: Callable[[Launch], ProcessIdentity] = spawn
    """How what is launched is started."""
    url: Callable[[], str | None] = lambda: None
    running: Callable[[], ProcessIdentity | None] = lambda: None
    """Who runs already, where the component itself can tell; otherwise the record does."""
    strays: Callable[[], Sequence[ProcessIdentity]] = tuple
    """Who runs already and is in the way of a start: nobody wrote it down."""
    adopted: bool = True
    """Whether one that an earlier control plane has started can go on with this one."""
    outdated: Callable[[ProcessIdentity], bool] = lambda _: False
    """Whether the one that runs was told at its launch what is no longer so: it is stopped and started anew."""
    needs: tuple[str, ...] = ()
    """Components that must be ready before it is started."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class ComponentState:
    """A component as it is now."""

    name: str
    state: State
    version: str
    url: str | None
    pid: int | None
    restarts: int = 0
    message: str = ""
    """Why it is not ready, for people."""
