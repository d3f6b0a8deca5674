"""Processes that start warm: forked from one that has imported everything, and that does nothing else.

The forking process has one thread and no event loop, so that what it forks begins clean; the pages of
all that was imported are shared by every flow run. It takes orders over a socket, tells how each
process ended, and ends with whoever holds the other end. Flow runs it has forked live on: they work
under leases, and whoever starts next finds them (`deployments.flow_processes`).
"""

import asyncio
import gc
import json
import os
import selectors
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

WARM_NAME = "shipline-warm"
FLOW_RUN_NAME = "shipline-run"
"""What `ps` shows, and by which flow runs are found; at most 15 characters."""
_LONGEST_MESSAGE = 64 * 1024

Work = Callable[[str], int]
"""What a forked process does with its order; its exit code."""


@dataclass(slots=True)
class Forked:
    """A process that was ordered; `ended` gives how: its exit code, or minus the signal that killed it."""

    pid: asyncio.Future[int]
    ended: asyncio.Future[int]


@dataclass(slots=True)
class WarmProcesses:
    """The ordering end, in an event loop. When the forking process is gone, `lost` is called and nothing starts."""

    connection: socket.socket
    lost: Callable[[], None]
    _ordered: dict[int, Forked] = field(default_factory=dict)
    _number: int = 0

    def listen(self) -> None:
        """Hear of starts and ends; call it inside the event loop."""
        self.connection.settimeout(0)
        asyncio.get_running_loop().add_reader(self.connection, self._hear)

    def start(self, order: str) -> Forked:
        """Fork a process for an order."""
        loop = asyncio.get_running_loop()
        self._number += 1
        forked = self._ordered[self._number] = Forked(loop.create_future(), loop.create_future())
        self.connection.send(json.dumps([self._number, order]).encode())
        return forked

    def close(self) -> None:
        """Let the forking process end; what it forked goes on."""
        asyncio.get_running_loop().remove_reader(self.connection)
        self.connection.close()

    def _hear(self) -> None:
        message = self.connection.recv(_LONGEST_MESSAGE)
        if not message:
            asyncio.get_running_loop().remove_reader(self.connection)
            self.lost()
            return
        number, pid, code = json.loads(message)
        forked = self._ordered[number]
        if code is None:
            forked.pid.set_result(pid)
        else:
            forked.ended.set_result(code)
            del self._ordered[number]


def fork_warm(work: Work) -> tuple[socket.socket, int]:
    """Make this process a forking one beside itself: the ordering end and its id are returned in the parent only.

    Everything that flow runs need has to be imported by now, and no thread may run.
    """
    gc.collect()
    gc.freeze()  # so that collecting in a forked process does not copy what it shares
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        take_orders(theirs, work)
    theirs.close()
    return ours, pid


def take_orders(connection: socket.socket, work: Work) -> NoReturn:
    """Fork a process for each order until the other end is gone."""
    Path("/proc/self/comm").write_text(WARM_NAME)
    numbers: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not connection:
                    _tell_end(connection, selector, key, numbers)
                    continue
                message = connection.recv(_LONGEST_MESSAGE)
                if not message:
                    sys.exit(0)
                number, order = json.loads(message)
                pid = os.fork()
                if pid == 0:
                    selector.close()
                    connection.close()
                    sys.exit(_begin(order, work))
                numbers[pid] = number
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
                connection.send(json.dumps([number, pid, None]).encode())


def _begin(order: str, work: Work) -> int:
    """In a forked process: a session of its own, so that what it starts can be found and stopped with it."""
    os.setsid()
    Path("/proc/self/comm").write_text(FLOW_RUN_NAME)
    return work(order)


def _tell_end(
    connection: socket.socket, selector: selectors.BaseSelector, key: selectors.SelectorKey, numbers: dict[int, int]
) -> None:
    pid: int = key.data
    selector.unregister(key.fileobj)
    os.close(key.fd)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    connection.send(json.dumps([numbers.pop(pid), pid, code]).encode())
