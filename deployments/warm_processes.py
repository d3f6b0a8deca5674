"""Processes that start warm: forked from one that has imported everything, and that does nothing else.

The forking process has one thread and no event loop, so that what it forks begins clean; the pages of
all that was imported are shared by every flow run. It takes orders over a socket, and ends with whoever
holds the other end. Flow runs it has forked live on: whoever starts next finds them by their claims.
"""

import asyncio
import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from delivery.adapters.processes import Launch

WARM_NAME = "shipline-warm"
FLOW_RUN_NAME = "shipline-run"
COMPONENT_NAME = "shipline-server"
"""What `ps` shows, and by which they are told apart: all have the warm process's environment; 15 characters at most.

The latter two are also the kinds of orders.
"""
_LONGEST_MESSAGE = 64 * 1024
LONGEST_ORDER = _LONGEST_MESSAGE // 4
"""In bytes; more may not fit into a message, in which it stands with every quote escaped."""
_READY = -1
"""The number of the first message: everything is imported."""
_FORK_SECONDS = 20.0

Work = Callable[[str], None]
"""What a forked process does with its order."""


@dataclass(slots=True)
class WarmProcesses:
    """The ordering end, in an event loop. When the forking process is gone, every order that waits fails."""

    connection: socket.socket
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    _ordered: dict[int, asyncio.Future[int]] = field(default_factory=dict)
    _number: int = 0

    def listen(self) -> None:
        """Hear of starts; call it inside the event loop."""
        self.connection.settimeout(0)
        asyncio.get_running_loop().add_reader(self.connection, self._hear)

    async def start(self, kind: str, order: str) -> int:
        """Fork a process for an order; its id.

        ConnectionError when the forking process is gone, TimeoutError when it does not answer: it is given up then.
        """
        self._number += 1
        message = json.dumps([self._number, kind, order]).encode()
        if len(message) > _LONGEST_MESSAGE:
            raise OSError(f"an order of {len(message)} bytes is too long")
        pid: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.connection.send(message)
        self._ordered[self._number] = pid
        try:
            return await asyncio.wait_for(pid, _FORK_SECONDS)
        except TimeoutError:
            self.close()
            raise

    def close(self) -> None:
        """Let the forking process end; what it forked goes on. Again, it does nothing."""
        if self.connection.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(self.connection)
        self.connection.close()
        self.ready.clear()
        self.gone.set()
        for pid in self._ordered.values():
            if not pid.done():
                pid.set_exception(ConnectionAbortedError("the warm process is gone"))
        self._ordered.clear()

    def _hear(self) -> None:
        message = self.connection.recv(_LONGEST_MESSAGE)
        if not message:
            self.close()
            return
        number, pid = json.loads(message)
        if number == _READY:
            self.ready.set()
        else:
            waits = self._ordered.pop(number)
            if not waits.done():  # given up meanwhile
                waits.set_result(pid)


def component_order(launch: Launch, module: str, arguments: tuple[str, ...]) -> str:
    """To become `python -m MODULE ARGUMENTS` in the folder and with the environment of a launch.

    Of that only what differs from our own, which the forking process has too: it may be larger than a message.
    """
    environment = {name: value for name, value in launch.environment.items() if os.environ.get(name) != value}
    return json.dumps(
        {
            "module": module,
            "arguments": arguments,
            "folder": str(launch.folder),
            "log": str(launch.log),
            "environment": environment,
        }
    )


def ordering() -> tuple[WarmProcesses, socket.socket]:
    """The ordering end, which listens, and the one that the forking process inherits. Inside an event loop."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    warm = WarmProcesses(ours)
    warm.listen()
    return warm, theirs


def spawn_warm() -> WarmProcesses:
    """Warm processes of another interpreter: what calls this runs threads already, and cannot fork by itself."""
    warm, theirs = ordering()
    isolated = ("-I",) if sys.flags.isolated else ()
    command = (sys.executable, *isolated, "-OO", "-m", "deployments.worker", str(theirs.fileno()))
    with theirs:
        subprocess.Popen(command, pass_fds=[theirs.fileno()])
    return warm


def take_orders(connection: socket.socket, works: Mapping[str, Work]) -> NoReturn:
    """Fork a process for each order, by its kind, until the other end is gone.

    Everything that flow runs need has to be imported by now, and no thread may run.
    """
    Path("/proc/self/comm").write_text(WARM_NAME)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended: their claims tell
    gc.collect()
    gc.freeze()  # so that collecting in a forked process does not copy what it shares
    connection.send(json.dumps([_READY, os.getpid()]).encode())
    while message := connection.recv(_LONGEST_MESSAGE):
        number, kind, order = json.loads(message)
        pid = os.fork()
        if pid == 0:
            connection.close()
            _begin(kind)
            works[kind](order)
            sys.exit(0)
        connection.send(json.dumps([number, pid]).encode())
    sys.exit(0)


def _begin(kind: str) -> None:
    """In a forked process: a session of its own, so that what it starts can be found and stopped with it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    Path("/proc/self/comm").write_text(kind)
