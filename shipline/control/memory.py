"""Memory of processes, shared pages counted once."""

from contextlib import suppress

import psutil


def memory_bytes(pid: int, *, children: bool = True) -> int | None:
    """Proportional set size of a process and of everything below it; None when there is no such process.

    What may not be read (another user's process) is not counted.
    """
    try:
        root = psutil.Process(pid)
        family = [root, *(root.children(recursive=True) if children else [])]
    except psutil.Error:
        return None
    return sum(_proportional(process) for process in family)


def _proportional(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.uss))
    return 0
