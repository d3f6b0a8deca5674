"""Long-lived processes known by pid and start time, so that whoever starts next can adopt or stop them.

A process is the leader of a session of its own: it outlives its starter, and stopping it reaches everything it
started. Its output goes straight into a file, opened for appending, so that rotation may cut it behind its back.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from delivery.errors import PermanentError
from delivery.masking import Mask

_START_TOLERANCE_SECONDS = 1.5
"""Start times are told in whole seconds of boot time plus ticks; a process id does not come round that fast."""
_POLL_SECONDS = 0.02
_children: dict[int, "subprocess.Popen[bytes]"] = {}
"""Processes of our own: only their parent can read how they ended, and has to, or they stay as zombies."""
_children_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, also after its number has gone to another."""

    pid: int
    started_at: float
    """Seconds between the boot of the machine and the start: no change of the clock moves it."""
    boot: str = ""
    """Which boot that was: a machine may start the same things at the same seconds again. Empty where unknown."""

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "ProcessIdentity":
        """From what `dataclasses.asdict` made of it; an earlier version's names no boot."""
        return cls(int(document["pid"]), float(document["started_at"]), str(document.get("boot", "")))


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start."""

    arguments: tuple[str, ...]
    folder: Path
    log: Path
    """Standard output and error are appended here; its folder is made."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """All of it: nothing is inherited."""
    descriptors: tuple[int, ...] = ()
    """Open files that it inherits, under the same numbers."""


def spawn(launch: Launch) -> ProcessIdentity:
    """Start a process in a session of its own; PermanentError when that cannot be done."""
    launch.log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with launch.log.open("ab", buffering=0) as log:
            child = subprocess.Popen(
                launch.arguments,
                cwd=launch.folder,
                env=dict(launch.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=launch.descriptors,
            )
    except OSError as error:
        raise PermanentError(
            f"starting {launch.arguments[0]}: {error.strerror or error}",
            hint="check that the command exists, is executable and can be found",
        ) from error
    with _children_lock:
        _children[child.pid] = child
    return identity_of(child.pid)


def identify(pid: int) -> ProcessIdentity | None:
    """Who has this process id now; None when nobody has."""
    try:
        return ProcessIdentity(pid, _since_boot(psutil.Process(pid)), _boot())
    except psutil.Error:
        return None


def identity_of(pid: int) -> ProcessIdentity:
    """Who has this process id, of a process that was just started: one that has ended already is nobody else."""
    return identify(pid) or ProcessIdentity(pid, 0.0, _boot())


def alive(identity: ProcessIdentity) -> bool:
    """Whether this very process still runs; a zombie does not."""
    _reap(identity.pid)
    try:
        process = psutil.Process(identity.pid)
        return _same(process, identity) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def environment(identity: ProcessIdentity) -> Mapping[str, str]:
    """What the process was started with; empty when it is gone or somebody else's."""
    try:
        process = psutil.Process(identity.pid)
        return process.environ() if _same(process, identity) else {}
    except (psutil.Error, OSError):
        return {}


def name(identity: ProcessIdentity) -> str:
    """What it calls itself; empty when it is gone."""
    try:
        return psutil.Process(identity.pid).name()
    except psutil.Error:
        return ""


def session_leaders(variable: str) -> dict[ProcessIdentity, str]:
    """Leaders of a session that were started with an environment variable, and its value."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            value = process.environ().get(variable, "")
            identity = identify(process.pid)
            if value and identity and os.getsid(process.pid) == process.pid:
                found[identity] = value
    return found


def exit_code(identity: ProcessIdentity) -> int | None:
    """How a process that this process started ended (minus the signal's number); None when unknown or running."""
    return _reap(identity.pid)


def ask(identity: ProcessIdentity, number: signal.Signals = signal.SIGTERM, *, leader_only: bool = False) -> None:
    """Ask the process, and unless told otherwise everything in its session, to end."""
    for process in _leader(identity) if leader_only else _members(identity):
        with suppress(psutil.Error):
            process.send_signal(number)


def kill(identity: ProcessIdentity) -> None:
    """Kill the process and everything it started, at once."""
    for process in _members(identity):
        with suppress(psutil.Error):
            process.kill()
    _reap(identity.pid)


def gone(identity: ProcessIdentity) -> bool:
    """Whether neither the process nor anything in its session is left."""
    left = _members(identity)
    _reap(identity.pid)  # last, so that a child which has just ended is collected too
    return not left


def stop(
    identity: ProcessIdentity,
    grace_seconds: float,
    *,
    number: signal.Signals = signal.SIGTERM,
    leader_only: bool = False,
) -> None:
    """Ask, wait for at most the grace, then kill; the whole session is gone when this returns."""
    ask(identity, number, leader_only=leader_only)
    if not wait_until(lambda: gone(identity), grace_seconds):
        kill(identity)
        wait_until(lambda: gone(identity), 5.0)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Look until the condition holds; False when the time is over first."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def rotate(log: Path, maximum_bytes: int = 10_000_000, keep: int = 3) -> bool:
    """Move a log that has grown too long to `NAME.1` (and that to `NAME.2`, ...); whether it did.

    The writer keeps its open file, so the content is copied and cut: lines written in between are lost.
    """
    if not log.exists() or log.stat().st_size <= maximum_bytes:
        return False
    for number in range(keep, 1, -1):
        older = log.with_name(f"{log.name}.{number - 1}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    os.truncate(log, 0)
    return True


def last_lines(log: Path, lines: int = 10, maximum_bytes: int = 8192, secrets: Iterable[str] = ()) -> str:
    """The end of a log, masked, for messages; empty when there is none."""
    mask = Mask(secrets)
    try:
        with log.open("rb") as file:
            begin = max(0, file.seek(0, os.SEEK_END) - maximum_bytes)
            before = file.seek(max(0, begin - mask.reach))
            mask.feed(file.read(begin - before))  # not shown, but a secret may begin in it
            content = mask.feed(file.read()) + mask.flush()
    except OSError:
        return ""
    return "\n".join(content.decode(errors="replace").strip().splitlines()[-lines:])


def _since_boot(process: psutil.Process) -> float:
    return round(process.create_time() - psutil.boot_time(), 2)


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _of_this_boot(identity: ProcessIdentity) -> bool:
    return identity.boot in {"", _boot()}


def _same(process: psutil.Process, identity: ProcessIdentity) -> bool:
    return _of_this_boot(identity) and abs(_since_boot(process) - identity.started_at) < _START_TOLERANCE_SECONDS


def _leader(identity: ProcessIdentity) -> list[psutil.Process]:
    try:
        process = psutil.Process(identity.pid)
        return [process] if _same(process, identity) and process.status() != psutil.STATUS_ZOMBIE else []
    except psutil.Error:
        return []


def _members(identity: ProcessIdentity) -> list[psutil.Process]:
    """The process, its descendants and its session, the leader last so that it can see its children end."""
    leader = _leader(identity)
    found = {process.pid: process for process in _session(identity)}
    for process in leader:
        with suppress(psutil.Error):
            found |= {child.pid: child for child in process.children(recursive=True)}
    found.pop(identity.pid, None)
    return [*found.values(), *leader]


def _session(identity: ProcessIdentity) -> Iterator[psutil.Process]:
    """Living processes of the session; a number that another process has taken leads no session of ours."""
    current = identify(identity.pid)
    if not _of_this_boot(identity):
        return
    if current and abs(current.started_at - identity.started_at) >= _START_TOLERANCE_SECONDS:
        return
    for pid in psutil.pids():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getsid(pid) == identity.pid:
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE:
                    yield process


def _reap(pid: int) -> int | None:
    with _children_lock:
        child = _children.get(pid)
        return child.poll() if child else None
