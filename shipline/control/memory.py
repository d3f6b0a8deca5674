"""Memory of processes, shared pages counted once."""

from collections.abc import Container
from contextlib import suppress

import psutil


def memory_bytes(pid: int, *, below: bool = True, without: Container[int] = ()) -> int | None:
    """Proportional set size of a process and of everything below it, but for others; None when there is no such one.

    What may not be read (another user's process) is not counted.
    """
    try:
        process = psutil.Process(pid)
        return _family(process, without) if below else _proportional(process)
    except psutil.Error:
        return None


def _family(process: psutil.Process, without: Container[int]) -> int:
    """Not going below what is counted for itself; what has ended meanwhile is nothing."""
    try:
        children = process.children()
    except psutil.Error:
        return 0
    return _proportional(process) + sum(_family(child, without) for child in children if child.pid not in without)


def _proportional(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.uss))
    return 0
