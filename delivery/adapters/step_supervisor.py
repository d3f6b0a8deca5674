"""The processes between Shipline and a step's command: they let nothing of the step outlive it.

Started with `python -I -S`, standard library only, because it must be up in milliseconds. That process
forks a supervisor for each command that is asked for over the socket named in its arguments, and ends
with whoever holds the other end. With a request come three descriptors: the supervisor's standard input
carries one line of JSON (the command), then stays open: a byte, or its end because Shipline died, means
stop. Its standard output is the command's. To the third it writes its own process id, and at the end one
line of JSON about that.

A supervisor is a process of its own because both guarantees need one. As subreaper it becomes the
parent of every descendant that leaves its process group or session, so that a walk down the process tree
finds them all; and the end of a pipe is seen whichever thread, or way, Shipline died by (PR_SET_PDEATHSIG
fires when the *thread* that started the child ends, and steps are started from short-lived threads).

A command that is to be isolated is not the supervisor's child but its grandchild: what is between them
is the first process of a namespace (`step_isolation`), and tells the command's end by a pipe.
"""

import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import time
from typing import NoReturn

from delivery.adapters.step_starting import Started, spawn

_PR_SET_CHILD_SUBREAPER = 36
_LOOK_SECONDS = 0.02
_KILL_SECONDS = 5.0
"""How long to go on killing; what is still there then is beyond a signal's reach."""
_LEAVE_SECONDS = 1.0
"""For the first process of a namespace, from the command's end on: the kernel ends all others there meanwhile."""
_LIBC = ctypes.CDLL(None, use_errno=True)


def serve(descriptor: int) -> NoReturn:
    """Fork a supervisor for every request that comes by a socket, until nobody could ask any more and all are done."""
    requests = socket.socket(fileno=descriptor)
    gc.disable()  # it would touch, and so copy, all the memory that a forked process shares
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever asked hears of the end from the supervisor itself
    for harmless in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(harmless, signal.SIG_IGN)
    while True:
        message, asked_with, _, _ = socket.recv_fds(requests, 1, 3)
        if not message:
            with contextlib.suppress(ChildProcessError):
                os.wait()  # for all of them, since their signal is ignored
            os._exit(0)
        if os.fork() == 0:
            requests.close()
            _supervise(*asked_with)
        for given in asked_with:
            os.close(given)


def _supervise(lifeline: int, output: int, status: int) -> NoReturn:
    """In the forked process: be a session of its own, with the pipes where `main` expects them."""
    os.setsid()
    for descriptor, place in ((lifeline, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, place)
    os.close(lifeline)
    os.close(output)
    with contextlib.suppress(BrokenPipeError):
        os.write(status, f"{os.getpid()}\n".encode())
        main(status)
    os._exit(0)


def main(status: int) -> None:
    """Run the command that standard input describes, and report its end."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wakeup = _wake_on_child()
    spec = json.loads(_read_line(0))
    started = spawn(spec, status)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    ended: dict[int, int] = {}
    if started.error is None:
        _wait(started, ended, wakeup)
        if started.child not in ended:
            _stop(started.child, ended, spec["stop_grace_seconds"])
    _end_all(ended)
    report = {"error": started.error, "status": _command_status(started, ended)}
    with contextlib.suppress(BrokenPipeError):
        os.write(status, json.dumps(report).encode() + b"\n")


def _wake_on_child() -> int:
    """A descriptor that becomes readable whenever a child ends."""
    readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
    return readable


def _read_line(descriptor: int) -> bytes:
    """One line, byte-exact: what follows it must stay in the pipe for `select`."""
    line = bytearray()
    while not line.endswith(b"\n"):
        chunk = os.read(descriptor, 65536)
        if not chunk:
            os._exit(0)  # Shipline died before it asked for anything
        line += chunk
    return bytes(line)


def _wait(started: Started, ended: dict[int, int], wakeup: int) -> None:
    """Until the command has ended, or Shipline wants it stopped or is gone."""
    watched = [0, wakeup, *([] if started.result is None else [started.result])]
    while started.child not in ended:
        ready, _, _ = select.select(watched, [], [], 1.0)
        told = started.result in ready
        if told and wakeup not in ready:
            select.select([wakeup], [], [], _LEAVE_SECONDS)
        with contextlib.suppress(BlockingIOError):
            os.read(wakeup, 4096)
        _reap(ended)
        if told or 0 in ready:
            return


def _command_status(started: Started, ended: dict[int, int]) -> int | None:
    """The command's wait status; None when nobody knows. Whoever killed what comes before it killed it."""
    found = ended.get(started.child)
    if started.result is None:
        return found
    with contextlib.suppress(BlockingIOError):
        if told := os.read(started.result, 4):
            return int.from_bytes(told, "little")
    return found if found is not None and os.WIFSIGNALED(found) else None


def _stop(child: int, ended: dict[int, int], grace_seconds: float) -> None:
    """Ask every descendant to end, and give the command time to."""
    for process in _descendants():
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while child not in ended and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        _reap(ended)


def _end_all(ended: dict[int, int]) -> None:
    """Kill every descendant until there is none, those that start meanwhile included."""
    deadline = time.monotonic() + _KILL_SECONDS
    while _reap(ended) and time.monotonic() < deadline:
        for process in _descendants():
            _signal(process, signal.SIGKILL)
        time.sleep(0.001)


def _reap(ended: dict[int, int]) -> bool:
    """Collect the wait status of ended children; whether any child is left."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if process == 0:
            return True
        ended[process] = status


def _signal(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, number)


def _descendants() -> list[int]:
    """Every process below this one, parents first."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208  # pathlib would double the start-up time
        if name.isdigit() and (parent := _parent(name)) is not None:
            children.setdefault(parent, []).append(int(name))
    found = [os.getpid()]
    for process in found:
        found += children.get(process, [])
    return found[1:]


def _parent(process: str) -> int | None:
    try:
        with open(f"/proc/{process}/stat", "rb") as stat:  # noqa: PTH123
            return int(stat.read().rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None
