"""A real installation: a home of its own, and the command line as a person would use it there.

Everything that a test asks for goes through `shipline` as a program. Only waiting looks at the HTTP API,
because a new program for every look would keep two processors busy.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from delivery.home import Home
from shipline.cli.client import Client, segments
from shipline.cli.session import recorded_address

SHIPLINE = (sys.executable, "-I", "-m", "shipline.cli.main")
COMMAND_SECONDS = 240.0
WAIT_SECONDS = 180.0
_OTHERS = ("SHIPLINE_", "PREFECT_", "GIT_")


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended, and what it printed."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float
    processor_seconds: float
    """Of the program itself: what it would have taken on a machine that does nothing else."""

    @property
    def json(self) -> Any:  # noqa: ANN401  # JSON
        """The whole of standard output as the one document that it has to be."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """The error that `--json` printed."""
        return dict(self.json["error"])

    def __str__(self) -> str:
        return f"shipline {' '.join(self.words)}: {self.code} after {self.seconds:.1f} s\n{self.out}\n{self.err}"


@dataclass(frozen=True, slots=True)
class Installation:
    """One home and the commands that are about it."""

    home: Home
    variables: Mapping[str, str] = field(default_factory=dict)
    """What its commands find in their environment besides."""

    @property
    def environment(self) -> dict[str, str]:
        """The caller's, without what belongs to another installation or another git."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OTHERS)}
        isolated = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        return {**kept, **isolated, **self.variables, "SHIPLINE_HOME": str(self.home.root)}

    def cli(
        self,
        *words: str,
        cwd: Path,
        check: int | None = 0,
        given: str | bytes = b"",
        seconds: float = COMMAND_SECONDS,
    ) -> Result:
        """Run a command to its end; fails on any other exit code than `check`, unless that is None.

        No command ever shows a traceback that nobody asked for.
        """
        begun, used = time.monotonic(), _processor_seconds()
        ended = subprocess.run(
            [*SHIPLINE, *words],
            cwd=cwd,
            env=self.environment,
            input=given.encode() if isinstance(given, str) else given,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
        took, used = time.monotonic() - begun, _processor_seconds() - used
        out, err = ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace")
        result = Result(words, ended.returncode, out, err, took, used)
        assert check is None or result.code == check, f"expected {check}\n{result}"
        assert "Traceback" not in err, str(result)
        return result

    @contextmanager
    def following(self, *words: str, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
        """A command that goes on beside others, from when it has said the first thing; ended if it does not end."""
        with subprocess.Popen(
            [*SHIPLINE, *words],
            cwd=cwd,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as command:
            try:
                assert command.stdout is not None
                assert command.stdout.readline()
                yield command
            finally:
                command.kill()

    def look(self, *path: str, **query: str) -> Any:  # noqa: ANN401  # JSON
        """What the HTTP API says, for waiting."""
        address = recorded_address(self.home)
        assert address is not None, "the control plane has not said where it listens"
        return Client(address).get(segments(*path), query)

    def processes(self) -> list[psutil.Process]:
        """Living processes that belong to this home."""
        return [process for process in psutil.process_iter() if self._owns(process)]

    def _owns(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            told = [*process.cmdline(), *process.environ().values()]
            named = any(str(self.home.root) in one for one in told)
            return named and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid()
        return False


def _processor_seconds() -> float:
    """Of every child that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def until(look: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:  # noqa: ANN401  # whatever is found
    """What a look finds as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.4)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


@contextmanager
def installation(variables: Mapping[str, str] | None = None) -> Iterator[Installation]:
    """A home that nothing is left of: no file, and no process even when `down` did not do its work."""
    folder = Path(tempfile.mkdtemp(prefix="sl-", dir="/tmp"))  # PostgreSQL's socket needs a short path
    made = Installation(Home(folder / "home"), variables or {})
    try:
        yield made
        made.cli("down", "--environments", cwd=folder)
        left = [" ".join(process.cmdline()) for process in made.processes()]
        assert left == [], "shipline down --environments leaves nothing"
    finally:
        for process in made.processes():
            with suppress(psutil.Error):
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)
