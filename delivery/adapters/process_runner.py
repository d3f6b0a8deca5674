"""Runs a step's command as a local process under a supervisor that lets nothing outlive it.

The supervisor (`step_supervisor`) does the starting, stopping and sweeping; this side keeps the
clock and the output. Should the supervisor itself be killed, the step's processes are found by a
variable in their environment.
"""

import contextlib
import errno
import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import psutil

from delivery.adapters.isolating import exposure, request
from delivery.adapters.step_isolation import IsolationError
from delivery.adapters.step_supervisors import SUPERVISORS, Supervisor, readable
from delivery.errors import TransientError
from delivery.isolation import MODE, IsolationMode
from delivery.runner import Ending, Exit, ProcessSpec

MARK = "SHIPLINE_STEP_ID"
"""In the environment of everything that belongs to one run of a command; unique."""
_CHUNK_BYTES = 65536
_LOOK_SECONDS = 0.1
"""How late a cancellation may be seen."""
_DRAIN_SECONDS = 2.0
"""For output still in the pipe after the end; somebody else may hold the pipe open for ever."""
_SUPERVISOR_SECONDS = 6.0
"""Beyond the grace, until a supervisor that does not report counts as lost."""


@dataclass(slots=True)
class _Kept:
    """Passes output on up to a limit, then only counts."""

    output: Callable[[bytes], None]
    limit: int
    count: int = 0

    @property
    def truncated(self) -> bool:
        return self.count > self.limit

    def take(self, chunk: bytes) -> None:
        room = self.limit - self.count
        self.count += len(chunk)
        if room >= 0:
            self.output(chunk[:room])
        if room >= 0 and self.truncated:
            self.output(f"\nshipline: output after {self.limit} bytes is dropped\n".encode())


class ProcessRunner:
    """The Runner for this machine: our own user, no leftovers; isolated where a spec says how and the machine can."""

    def __init__(self, mode: IsolationMode = IsolationMode.AUTO) -> None:
        self._mode = mode

    def run(self, spec: ProcessSpec, output: Callable[[bytes], None], cancelled: Event) -> Exit:
        if spec.isolation is None:
            return _run(spec, None, output, cancelled)
        if self._mode is IsolationMode.OFF:
            return replace(_run(spec, None, output, cancelled), exposure=f"{MODE} is off")
        try:
            ended = _run(spec, request(spec.isolation), output, cancelled)
        except IsolationError as error:
            why = f"this machine does not allow isolation: {error}"
            if self._mode is IsolationMode.REQUIRED:
                raise TransientError(f"isolating a command: {why}", hint="what to do: shipline doctor") from error
            return replace(_run(spec, None, output, cancelled), exposure=why)
        return replace(ended, isolated=True, exposure=exposure())


def _run(
    spec: ProcessSpec, isolation: dict[str, Any] | None, output: Callable[[bytes], None], cancelled: Event
) -> Exit:
    """To the end; IsolationError, and nothing ran, when the machine does not let it be isolated."""
    mark = uuid.uuid4().hex
    started = time.monotonic()
    kept = _Kept(output, spec.maximum_output_bytes)
    with _supervised(spec, isolation, mark) as supervisor:
        wanted = _follow(supervisor, kept, cancelled, started + spec.timeout_seconds, spec.stop_grace_seconds)
        told = supervisor.report()
        if told is None:
            end_marked(mark)
        _drain(supervisor.output, kept)
    seconds = time.monotonic() - started
    return _exit(spec, json.loads(told) if told else None, wanted, kept, seconds)


@contextlib.contextmanager
def _supervised(spec: ProcessSpec, isolation: dict[str, Any] | None, mark: str) -> Iterator[Supervisor]:
    """A supervisor at work; it and all that it started are gone when this ends."""
    output_read, output_write = os.pipe()
    status_read, status_write = os.pipe()
    lifeline_read, lifeline_write = os.pipe()
    try:
        try:
            SUPERVISORS.start(lifeline_read, output_write, status_write)
        except OSError as error:
            raise TransientError(f"starting a process: {error.strerror}") from error
        finally:
            for descriptor in (output_write, status_write, lifeline_read):
                os.close(descriptor)
        supervisor = Supervisor(lifeline_write, output_read, status_read)
        try:
            _send(lifeline_write, spec, isolation, mark)
            yield supervisor
        finally:
            _end(supervisor, spec.stop_grace_seconds, mark)
    finally:
        for descriptor in (output_read, status_read, lifeline_write):
            os.close(descriptor)


def _send(lifeline: int, spec: ProcessSpec, isolation: dict[str, Any] | None, mark: str) -> None:
    asked = {
        "arguments": spec.arguments,
        "folder": str(spec.folder),
        "environment": {**spec.environment, MARK: mark},
        "stop_grace_seconds": spec.stop_grace_seconds,
        "isolation": isolation,
    }
    line = json.dumps(asked).encode() + b"\n"
    with contextlib.suppress(BrokenPipeError):
        while line:
            line = line[os.write(lifeline, line) :]


def _end(supervisor: Supervisor, grace_seconds: float, mark: str) -> None:
    """Whatever happened: stop it, and sweep up after a supervisor that did not end by itself."""
    supervisor.stop()
    if not supervisor.ends(grace_seconds + _SUPERVISOR_SECONDS):
        supervisor.kill()
    if supervisor.report() is None:
        end_marked(mark)
    supervisor.close()


def end_marked(mark: str) -> None:
    """Kill every process of this machine whose environment has the mark."""
    deadline = time.monotonic() + _SUPERVISOR_SECONDS
    while (found := _marked(mark)) and time.monotonic() < deadline:
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=0.05)


def _marked(mark: str) -> list[psutil.Process]:
    line = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, psutil.Error):
            if line in (folder / "environ").read_bytes().split(b"\0"):
                found.append(psutil.Process(int(folder.name)))
    return found


def _follow(
    supervisor: Supervisor, kept: _Kept, cancelled: Event, deadline: float, grace_seconds: float
) -> Ending | None:
    """Pass output on until the end; the ending that Shipline asked for, if it did."""
    wanted: Ending | None = None
    watched = [supervisor.status, supervisor.output]
    while True:
        ready = readable(watched, _LOOK_SECONDS)
        if supervisor.output in ready:
            chunk = os.read(supervisor.output, _CHUNK_BYTES)
            kept.take(chunk)
            if not chunk:
                watched.remove(supervisor.output)
        if supervisor.status in ready:
            return wanted
        if wanted is None and (wanted := _unwanted(cancelled, deadline)):
            supervisor.stop()
            deadline = time.monotonic() + grace_seconds + _SUPERVISOR_SECONDS
        elif wanted and time.monotonic() > deadline:
            supervisor.kill()  # stopped or stuck; its processes are found by their mark
            return wanted


def _unwanted(cancelled: Event, deadline: float) -> Ending | None:
    if cancelled.is_set():
        return Ending.CANCELLED
    return Ending.TIMED_OUT if time.monotonic() > deadline else None


def _drain(output: int, kept: _Kept) -> None:
    deadline = time.monotonic() + _DRAIN_SECONDS
    while (left := deadline - time.monotonic()) > 0 and readable([output], left):
        chunk = os.read(output, _CHUNK_BYTES)
        if not chunk:
            return
        kept.take(chunk)


def _exit(
    spec: ProcessSpec, report: dict[str, object] | None, wanted: Ending | None, kept: _Kept, seconds: float
) -> Exit:
    def ended(ending: Ending, code: int | None = None, number: int | None = None, message: str = "") -> Exit:
        return Exit(ending, code, number, seconds, kept.count, kept.truncated, message)

    status = report["status"] if report else None
    if report and isinstance(report["error"], dict):
        if "isolation" in report["error"]:
            raise IsolationError(report["error"]["isolation"])
        return ended(Ending.NOT_FOUND, message=_not_started(report["error"], spec))
    if wanted:
        return ended(wanted)
    if not isinstance(status, int):
        return ended(Ending.KILLED, number=signal.SIGKILL, message="the process that supervises the step was killed")
    code = os.waitstatus_to_exitcode(status)
    return ended(Ending.EXITED, code) if code >= 0 else ended(Ending.KILLED, number=-code)


def _not_started(error: dict[str, object], spec: ProcessSpec) -> str:
    if error["at"] == str(spec.folder):
        return f"cannot start '{spec.arguments[0]}' in {spec.folder}: {str(error['text']).lower()}"
    if error["errno"] == errno.ENOENT:
        return f"command not found: '{spec.arguments[0]}' (or the interpreter that its first line names)"
    return f"cannot start '{spec.arguments[0]}': {str(error['text']).lower()}"
