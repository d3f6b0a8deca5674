"""A change brought to life three ways, in turn: its commands by themselves, with act and a restart, with Shipline.

What the commands and the service's own start take is measured in the same rounds and taken off: the rest is what each
tool adds.
"""

import os
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import tools
from bench.installation import Place
from bench.table import Row
from delivery.adapters.postgresql_cluster import free_port

WORKFLOW = ".github/workflows/live.yml"
"""Where act finds the steps; others that a project has are not run."""
_PATIENCE_SECONDS = 120.0
_LOOK_SECONDS = 0.01
_TARGET_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Service:
    """How a service is built, started and recognised, whoever does it."""

    steps: tuple[str, ...]
    """Shell commands, run in the work tree."""
    output: str
    """The folder that the last of them fills."""
    command: tuple[str, ...]
    """Starts it in that folder; `{port}` stands for its port, which is PORT too."""
    path: str
    """What is asked to learn the version that runs."""
    version: Callable[[bytes], int]
    """The number in the answer."""


@dataclass(slots=True)
class Restarted:
    """A service that is killed and started again, as a script after `act` would."""

    service: Service
    folder: Path
    variables: Mapping[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def restart(self) -> None:
        """Leave the port, then take it again."""
        self.stop()
        command = [word.replace("{port}", str(self.port)) for word in self.service.command]
        environment = {**os.environ, **self.variables, "PORT": str(self.port)}
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=quiet, stderr=quiet)

    def stop(self) -> None:
        """The port is free then."""
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
            self.process = None


class Rounds:
    """The commands alone, act and Shipline, in turn; the first round of each is left out."""

    def __init__(self, service: Service, made: Place, port: int, variables: Callable[[str], Mapping[str, str]]) -> None:
        """`port` is dev's; `variables` gives the steps' environment variables to "own" and to "act".

        In these TMPDIR takes what is not needed any more, and KEPT is where act's service runs.
        """
        self._service, self._made, self._port = service, made, port
        self._own = Restarted(service, made.tree / service.output, variables("own"))
        self._kept = Restarted(service, Path(variables("act")["KEPT"]), variables("act"))
        self._act, self._missing = _act()
        self._took: dict[str, list[float]] = {"own": [], "act": [], "shipline": []}

    def another(self, number: int) -> None:
        """Bring the version with that number, which is committed already, to life each way."""
        self._timed("own", self._own.port, number, self._alone)
        self._own.stop()
        self._own.folder.rename(tempfile.mkdtemp(dir=self._own.variables["TMPDIR"]))
        if self._act:
            act = self._act
            self._timed("act", self._kept.port, number, lambda: self._acted(act))
        self._timed("shipline", self._port, number, lambda: self._made.shipline("run"))

    def close(self) -> None:
        """No service of the first two ways runs any more."""
        self._own.stop()
        self._kept.stop()

    def rows(self, what: str) -> list[Row]:
        """What was measured."""
        alone, theirs = median(self._took["own"][1:]), self._took["act"][1:]
        added = [took - alone for took in self._took["shipline"][1:]]
        beside = ("act and a restart", median(theirs) - alone) if theirs else (self._missing, None)
        return [
            Row(f"push to live, {what}", self._took["shipline"][1:], "s"),
            Row("of it these commands and the service's start by themselves", self._took["own"][1:], "s"),
            Row("of it what we add, to the new version answering", added, "s", _TARGET_SECONDS, beside=beside),
        ]

    def _timed(self, way: str, port: int, number: int, bring: Callable[[], object]) -> None:
        self._took[way].append(live(self._service, port, number, bring))

    def _alone(self) -> None:
        run_steps(self._service.steps, self._made.tree, self._own.variables)
        self._own.restart()

    def _acted(self, act: Path) -> None:
        """On this machine as it is, without containers, then the restart."""
        given = [word for name, value in self._kept.variables.items() for word in ("--env", f"{name}={value}")]
        command = [str(act), "push", "-W", WORKFLOW, "-P", "ubuntu-latest=-self-hosted", *given]
        environment = {**os.environ, **self._kept.variables}
        subprocess.run(command, cwd=self._made.tree, env=environment, check=True, capture_output=True)
        self._kept.restart()


def workflow(service: Service) -> str:
    """The steps for act, which removes the folder that it works in: what they made is moved to KEPT.

    Nothing is removed: on ext4 whoever makes files within minutes after that takes much longer.
    """
    keep = f'mkdir -p "$KEPT" && mv "$KEPT" "$(mktemp -d)" && mv {service.output} "$KEPT"'
    steps = "\n".join(f"      - run: {step}" for step in (*service.steps, keep))
    head = "on: push\njobs:\n  live:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4"
    return f"{head}\n{steps}\n"


def add_origin(made: Place) -> None:
    """An address of the source repository, which act wants to know."""
    origin = f"https://example.invalid/{made.tree.name}.git"
    subprocess.run(["git", "remote", "add", "origin", origin], cwd=made.tree, check=True)


def run_steps(steps: tuple[str, ...], tree: Path, variables: Mapping[str, str]) -> None:
    """Each in a shell of its own, in the work tree."""
    for step in steps:
        environment = {**os.environ, **variables}
        subprocess.run(["bash", "-c", step], cwd=tree, env=environment, check=True, capture_output=True)


@contextmanager
def folders(prefix: str) -> Iterator[Callable[[str], Path]]:
    """A folder by its name, which a step may write as whoever it runs; all are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=prefix, dir="/tmp") as name:
        Path(name).chmod(0o755)

        def folder(whose: str) -> Path:
            found = Path(name) / whose
            found.mkdir(exist_ok=True)
            found.chmod(0o777)
            return found

        yield folder


def live(service: Service, port: int, number: int, bring: Callable[[], object]) -> float:
    """Seconds until that version answers; waits for both, the act and the answer."""
    begun = time.monotonic()
    seen: list[float] = []

    def look() -> None:
        while not seen and time.monotonic() - begun < _PATIENCE_SECONDS:
            if _answers(service, port, number):
                seen.append(time.monotonic() - begun)
            time.sleep(_LOOK_SECONDS)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    bring()
    looking.join()
    assert seen, f"version {number} never answered at port {port}"
    return seen[0]


def _answers(service: Service, port: int, number: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{service.path}", timeout=1) as answer:
        return service.version(answer.read()) == number
    return False


def _act() -> tuple[Path | None, str]:
    """The program, or why there is none."""
    try:
        return tools.act(), ""
    except tools.UnavailableError as error:
        return None, str(error)
