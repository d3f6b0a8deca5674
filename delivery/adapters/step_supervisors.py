"""Asking for supervisors: one small process of ours forks one for each command (see `step_supervisor`)."""

import atexit
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from delivery.adapters import step_supervisor
from delivery.errors import TransientError

_START_SECONDS = 20.0
"""Until a supervisor says that it is there; it takes a millisecond."""
_ROOT = Path(step_supervisor.__file__).parents[2]
"""What `delivery` is found in."""
_PROGRAM = f"""
import sys
sys.path.append(sys.argv[2])
from {step_supervisor.__name__} import serve
serve(int(sys.argv[1]))
"""
"""As a script it would not find the module beside it: nothing but the standard library is on its path."""


class Supervisors:
    """Started when it is first needed, and again when it was lost. A forked process shares its parent's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        os.register_at_fork(after_in_child=self._forked)

    def warm_up(self) -> None:
        """Have it now, so that whoever is forked from here need not wait for it."""
        with self._lock:
            self._requests = self._requests or self._started()

    def start(self, lifeline: int, output: int, status: int) -> None:
        """A supervisor with these descriptors, which the caller closes; OSError when there is none to be had."""
        with self._lock:
            self._requests = self._requests or self._started()
            try:
                self._ask(lifeline, output, status)
            except (BrokenPipeError, ConnectionResetError):
                self._requests.close()
                self._requests = self._started()
                self._ask(lifeline, output, status)

    def let_go(self) -> None:
        """In a forked process that will never ask: whoever it was forked from waits for the last who could."""
        if self._requests:
            self._requests.close()
            self._requests = None

    def _ask(self, *descriptors: int) -> None:
        if self._requests:
            socket.send_fds(self._requests, [b"!"], list(descriptors))

    def _started(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            if self._process and self._owner == os.getpid():
                self._process.poll()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, str(theirs.fileno()), str(_ROOT)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={},
                cwd="/",
                start_new_session=True,
            )
        self._owner = os.getpid()
        atexit.register(self._close)
        return ours

    def _close(self) -> None:
        """Wait until the last of its supervisors is done."""
        if self._requests and self._process and self._owner == os.getpid():
            self._requests.close()
            self._process.wait()

    def _forked(self) -> None:
        """Whoever held the lock is not here."""
        self._lock = threading.Lock()


SUPERVISORS = Supervisors()


class Supervisor:
    """One supervisor at work, as whoever asked for it sees it."""

    def __init__(self, lifeline: int, output: int, status: int) -> None:
        """Wait until it says who it is; TransientError when it is lost before."""
        self.lifeline, self.output, self.status = lifeline, output, status
        self._told = b""
        if not readable([status], _START_SECONDS) or not (who := os.read(status, 64)).endswith(b"\n"):
            raise TransientError("starting a process: its supervisor was lost")
        self._process: int | None = None
        with contextlib.suppress(ProcessLookupError):
            self._process = os.pidfd_open(int(who))

    def close(self) -> None:
        """Let go of it; it has ended."""
        if self._process is not None:
            os.close(self._process)

    def stop(self) -> None:
        """Ask it to end the command."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.lifeline, b"!")

    def kill(self) -> None:
        """End it without asking; what it supervised is found by other ways."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def ends(self, seconds: float) -> bool:
        """Whether it ends within a time."""
        return self._process is None or bool(readable([self._process], seconds))

    def report(self) -> bytes | None:
        """What it said of the end; None when it was killed before it could."""
        while readable([self.status], 0) and (said := os.read(self.status, 65536)):
            self._told += said
        return self._told if self._told.endswith(b"\n") else None


def readable(descriptors: list[int], seconds: float) -> set[int]:
    """Those with something to read, or at their end; `select` would stop at descriptor 1023."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
