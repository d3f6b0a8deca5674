"""Ports on this machine: free ones for instances, and one for ever for each service's router.

They are taken below the range that the system gives to outgoing connections, which could otherwise sit on a
service's port when its router starts again.
"""

import random
import socket
from collections.abc import Collection, Iterable

import psutil

from delivery.errors import PermanentError

_FIRST, _LAST = 20_000, 31_999


def is_free(port: int) -> bool:
    """Whether nobody listens on it, on this machine's loopback or everywhere."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(avoid: Collection[int]) -> int:
    """A free port; PermanentError when there is none."""
    start = random.randrange(_FIRST, _LAST)  # noqa: S311  # not a secret: only to seldom meet other installations
    candidates: Iterable[int] = (*range(start, _LAST + 1), *range(_FIRST, start))
    for port in candidates:
        if port not in avoid and is_free(port):
            return port
    raise PermanentError(f"looking for a free port: all from {_FIRST} to {_LAST} are taken")


def owner_of(port: int) -> str:
    """Who listens on a port, for people, as far as we may know."""
    try:
        listening = (one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN)
        pid = next((one.pid for one in listening if one.laddr and one.laddr.port == port and one.pid), None)
        return f"{psutil.Process(pid).name()} (process {pid})" if pid else "another user's process"
    except psutil.Error:
        return "another process"
