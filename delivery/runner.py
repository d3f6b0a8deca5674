"""Running one command: what is asked of a Runner, how the process ended, and what that means."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from delivery.isolation import Isolation


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A command ready to run: arguments, folder, the whole environment, and limits."""

    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """All of it: nothing is inherited."""
    timeout_seconds: float = 1800.0
    stop_grace_seconds: float = 2.0
    """Between SIGTERM and SIGKILL of everything that the command started."""
    maximum_output_bytes: int = 64 * 1024 * 1024
    """Output kept; what comes after is counted, drained and dropped."""
    isolation: Isolation | None = None
    """What it may see; None for everything that we see."""


class Ending(StrEnum):
    """Why a process is no longer running."""

    EXITED = "exited"
    TIMED_OUT = "timed out"
    KILLED = "killed"
    """By a signal that Shipline did not send."""
    NOT_FOUND = "command not found"
    """Or not executable, or its folder is gone: it never ran."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended."""

    ending: Ending
    code: int | None
    """Exit code; None unless it exited."""
    signal: int | None
    seconds: float
    output_bytes: int
    truncated: bool
    message: str = ""
    """Why it could not be started or was lost; empty otherwise."""
    isolated: bool = False
    """Whether it saw no more of this machine than it was to see."""
    exposure: str = ""
    """Why Shipline was not safe from it, isolated or not; empty when it was."""

    @property
    def succeeded(self) -> bool:
        """Whether it exited with 0."""
        return self.ending is Ending.EXITED and self.code == 0


@dataclass(frozen=True, slots=True)
class ToolVersion:
    """A program that a step names, as found on this machine."""

    name: str
    path: Path
    """Absolute, as found on the PATH: links are not followed."""
    version: str
    """First line of what it says of itself, or the digest of its file."""


SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

REPRODUCIBLE_EPOCH = "315532800"
"""1980-01-01, the first time that a zip file can hold; tools that honour SOURCE_DATE_EPOCH then write no clock."""


def command_arguments(command: str | Sequence[str]) -> tuple[str, ...]:
    """The argument list of a configured command: a string goes to bash as one argument, a list stays as it is."""
    if isinstance(command, str):
        return ("bash", "-euo", "pipefail", "-c", command)
    return tuple(command)


def step_environment(private: Path, declared: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a step: nothing of ours, a private HOME, TMPDIR and bin, and what it declares."""
    return {
        "PATH": f"{private / 'bin'}:{SYSTEM_PATH}",
        "HOME": str(private / "home"),
        "TMPDIR": str(private / "tmp"),
        "LANG": "C.UTF-8",
        "CI": "true",
        "SOURCE_DATE_EPOCH": REPRODUCIBLE_EPOCH,
        **declared,
    }


_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT})
"""Signals that somebody else sends; the others are a program's own faults (SIGSEGV, SIGABRT)."""
_SHELL_KILLED = {128 + number: number for number in (signal.SIGKILL, signal.SIGTERM)}
"""What a shell exits with when its command was killed."""
_SHELL_NOT_STARTED = {126: "command not executable", 127: "command not found"}


def killed_from_outside(ended: Exit) -> bool:
    """Whether the process vanished or somebody else killed it (the out-of-memory killer, a person, a reboot)."""
    if ended.ending is Ending.KILLED:
        return ended.signal is None or ended.signal in _FROM_OUTSIDE
    return ended.ending is Ending.EXITED and ended.code in _SHELL_KILLED


def looked(ended: Exit) -> bool:
    """Whether the command ran and gave its own answer; if not, nothing is known of what it tests."""
    if ended.ending is Ending.KILLED:
        return not killed_from_outside(ended)
    return ended.ending is Ending.EXITED and ended.code not in {*_SHELL_KILLED, *_SHELL_NOT_STARTED}


def describe_exit(ended: Exit, timeout_seconds: float) -> str:
    """One phrase for people; empty when it succeeded."""
    match ended.ending:
        case Ending.EXITED:
            return _describe_code(ended.code or 0)
        case Ending.TIMED_OUT:
            return f"timed out after {timeout_seconds:g} s"
        case Ending.KILLED:
            named = _signal_name(ended.signal) if ended.signal else "an unknown signal"
            return f"killed by {named}" + (f": {ended.message}" if ended.message else "")
        case Ending.NOT_FOUND:
            return ended.message
        case Ending.CANCELLED:
            return "cancelled"


def _describe_code(code: int) -> str:
    if code in _SHELL_NOT_STARTED:
        return f"exited with {code}: {_SHELL_NOT_STARTED[code]}"
    if code in _SHELL_KILLED:
        return f"exited with {code}: killed by {_signal_name(_SHELL_KILLED[code])}"
    return f"exited with {code}" if code else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
