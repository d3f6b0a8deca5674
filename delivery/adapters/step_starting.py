"""Starting a step's command below its supervisor (see `step_supervisor`), isolated or not. Standard library only."""

import ctypes
import json
import os
import signal
from typing import Any, NamedTuple, NoReturn

from delivery.adapters import step_isolation

_PR_SET_PDEATHSIG = 1
_CHANGED_SIGNALS = (
    signal.SIGCHLD,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGPIPE,
    signal.SIGXFSZ,
)
"""Ignored or handled on the way here; a command finds them as usual."""
_LIBC = ctypes.CDLL(None, use_errno=True)


class Started(NamedTuple):
    """What runs below a supervisor."""

    child: int
    """The command, or the first process of its namespace."""
    error: dict[str, Any] | None
    """Why there is no command."""
    result: int | None
    """Where the command's wait status comes from, if it is not the child's."""


def spawn(spec: dict[str, Any], status: int) -> Started:
    """Start the command; what kept it from starting comes back as {errno, text, at} or {isolation}."""
    told, tell = os.pipe2(os.O_CLOEXEC)
    result, write_result = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    isolation = spec["isolation"]
    try:
        if isolation:
            step_isolation.enter()
    except step_isolation.IsolationError as error:
        return Started(0, {"isolation": str(error)}, None)
    child = os.fork()
    if child == 0:
        for descriptor in (status, told, result):
            os.close(descriptor)
        _start(spec, tell, write_result)
    os.close(tell)
    os.close(write_result)
    with open(told, "rb") as told_by_child:  # noqa: PTH123  # a descriptor, not a path
        told_bytes = told_by_child.read()
    return Started(child, json.loads(told_bytes) if told_bytes else None, result if isolation else None)


def _start(spec: dict[str, Any], tell: int, result: int) -> NoReturn:
    """In the forked process: be the command or, when it is to be isolated, what comes before it."""
    try:
        if spec["isolation"]:
            step_isolation.begin(spec["isolation"], tell)
            command = _spawn_prepared(spec)
            os.close(tell)
            step_isolation.outlive(command, result)
        _become(spec)
    except step_isolation.IsolationError as error:
        os.write(tell, json.dumps({"isolation": str(error)}).encode())
    except OSError as error:
        said = {"errno": error.errno, "text": error.strerror, "at": os.fsdecode(error.filename or "")}
        os.write(tell, json.dumps(said).encode())
    finally:
        os._exit(127)


def _become(spec: dict[str, Any]) -> None:
    os.setsid()
    _prepare(spec)
    for changed in _CHANGED_SIGNALS:
        signal.signal(changed, signal.SIG_DFL)
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # should the supervisor be killed; it has one thread only
    os.execvpe(spec["arguments"][0], spec["arguments"], spec["environment"])  # noqa: S606  # no shell on purpose


def _spawn_prepared(spec: dict[str, Any]) -> int:
    """The command as a process of its own, without copying this one first: that takes longer than isolating it."""
    _prepare(spec)
    os.environ["PATH"] = spec["environment"].get("PATH", os.defpath)
    return os.posix_spawnp(
        spec["arguments"][0], spec["arguments"], spec["environment"], setsid=True, setsigdef=_CHANGED_SIGNALS
    )


def _prepare(spec: dict[str, Any]) -> None:
    """What a process hands on to what it becomes or starts."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(1, 2)
    os.umask(0o022)
    os.chdir(spec["folder"])
