"""Buildbot beside us: a real master and a worker on this machine, as its own tutorial sets them up, gone afterwards.

`python -m bench.buildbot [TIMES]` measures it alone: with a worker process, and with a worker in the master's process.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench import tools
from bench.table import Row, markdown
from bench.tools import UnavailableError
from delivery.adapters import processes
from delivery.adapters.postgresql_cluster import free_port

_START_SECONDS = 60.0
_BUILD_SECONDS = 120.0
_GRACE_SECONDS = 10.0
_SETTLING_SECONDS = 0.5
_FINISHED = "/sse/listen/builds/*/finished"
_MASTER = """
from buildbot.plugins import schedulers, steps, util, worker


def factory(count):
    first = steps.ShellCommand(name="s1", command=f"date +%s.%N > {FOLDER}/{count}.mark")
    more = [steps.ShellCommand(name=f"s{n}", command=f"echo s{n}") for n in range(2, count + 1)]
    return util.BuildFactory([first, *more])


def scheduler(count):
    chosen = util.ChangeFilter(branch=str(count))
    return schedulers.SingleBranchScheduler(name=f"on-{count}", change_filter=chosen, builderNames=[str(count)])


BuildmasterConfig = {
    "workers": [worker.LocalWorker("here") if IN_MASTER else worker.Worker("here", "here")],
    "builders": [util.BuilderConfig(name=str(n), workernames=["here"], factory=factory(n)) for n in COUNTS],
    "schedulers": [scheduler(n) for n in COUNTS],
    "protocols": {"pb": {"port": f"tcp:{WORKERS}:interface=127.0.0.1"}},
    "www": {"port": f"tcp:{HTTP}:interface=127.0.0.1", "change_hook_dialects": {"base": True}},
    "buildbotURL": f"http://127.0.0.1:{HTTP}/",
    "buildbotNetUsageData": None,
}
"""


@dataclass(frozen=True, slots=True)
class Built:
    """One build, in seconds since its change was sent."""

    first_step: float
    """Until the process of its first step said what time it is."""
    finished: float
    """Until the master said that the build is done."""


@dataclass(frozen=True, slots=True)
class Buildbot:
    """A master that listens, with a builder for each number of steps."""

    api: httpx.Client
    folder: Path

    def build(self, steps: int) -> Built:
        """Post one change to its hook, and listen for the end, which its database knows in whole seconds only.

        Waits first until what went before has settled.
        """
        mark = self.folder / f"{steps}.mark"
        mark.unlink(missing_ok=True)
        time.sleep(_SETTLING_SECONDS)
        with self.api.stream("GET", _FINISHED) as events:
            lines = events.iter_lines()
            next(lines)  # it is listening
            begun = time.time()
            change = {"branch": str(steps), "revision": str(time.time_ns()), "author": "bench", "comments": "another"}
            self.api.post("/change_hook/base", data=change).raise_for_status()
            build = json.loads(next(line for line in lines if line.startswith("data: {")).removeprefix("data: "))
            finished = time.time()
        assert build["message"]["results"] == 0, build
        return Built(float(mark.read_text()) - begun, finished - begun)

    def ready(self) -> bool:
        """Whether its worker has come."""
        try:
            workers = self.api.get("/api/v2/workers").raise_for_status().json()["workers"]
        except httpx.HTTPError:
            return False
        return any(worker["connected_to"] for worker in workers)


@contextmanager
def buildbot(*counts: int, in_master: bool = False) -> Iterator[Buildbot]:
    """Ready to build so many steps each, its first builds done; UnavailableError where it cannot be had."""
    programs = tools.buildbot()
    with tempfile.TemporaryDirectory(prefix="bb-", dir="/tmp") as name, ExitStack() as stack:
        folder, http, workers = Path(name), free_port(), free_port()
        settings = f"FOLDER, COUNTS, HTTP, WORKERS, IN_MASTER = {(name, counts, http, workers, in_master)!r}\n"
        stack.enter_context(_master(programs / "buildbot", folder / "master", settings + _MASTER))
        if not in_master:
            stack.enter_context(_worker(programs / "buildbot-worker", folder / "worker", workers))
        api = httpx.Client(base_url=f"http://127.0.0.1:{http}", trust_env=False, timeout=_BUILD_SECONDS)
        made = Buildbot(stack.enter_context(api), folder)
        _warm(made, counts)
        yield made


@contextmanager
def buildbot_or_why(*counts: int) -> Iterator[tuple[Buildbot | None, str]]:
    """As `buildbot`, or nobody and why, in words for the table."""
    with ExitStack() as stack:
        try:
            made, missing = stack.enter_context(buildbot(*counts)), ""
        except UnavailableError as error:
            made, missing = None, str(error)
        yield made, missing


def _warm(made: Buildbot, counts: tuple[int, ...]) -> None:
    """One build of each; UnavailableError when it does not come that far."""
    if not processes.wait_until(made.ready, _START_SECONDS):
        raise UnavailableError(f"buildbot: not ready after {_START_SECONDS:.0f} s: {_said(made.folder)[:120]}")
    for count in counts:
        made.build(count)


def _said(folder: Path) -> str:
    """The last error that the master's logs name."""
    logs = (folder / "master" / name for name in ("twistd.log", "output"))
    lines = [line for log in logs for line in processes.last_lines(log, 100).splitlines() if "rror" in line]
    return lines[-1].strip() if lines else "its logs name no error"


@contextmanager
def _master(program: Path, folder: Path, configuration: str) -> Iterator[None]:
    _make(program, "create-master", "--quiet", folder)
    (folder / "master.cfg").write_text(configuration)
    with _running(program, folder):
        yield


@contextmanager
def _worker(program: Path, folder: Path, port: int) -> Iterator[None]:
    _make(program, "create-worker", folder, f"127.0.0.1:{port}", "here", "here")
    with _running(program, folder):
        yield


@contextmanager
def _running(program: Path, folder: Path) -> Iterator[None]:
    """A master or a worker, with everything that it starts."""
    command = (str(program), "start", "--nodaemon", str(folder))
    identity = processes.spawn(processes.Launch(command, folder, folder / "output", _environment()))
    try:
        yield
    finally:
        processes.stop(identity, _GRACE_SECONDS)


def _make(*command: str | Path) -> None:
    try:
        subprocess.run(command, env=_environment(), check=True, capture_output=True, text=True, timeout=_START_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise UnavailableError(f"buildbot: {command[1]}: {said[-1][:120]}") from error


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"]}


def measured(times: int = 15) -> list[Row]:
    """Both kinds of worker, one after the other."""
    return [row for in_master in (False, True) for row in _alone(times, in_master=in_master)]


def _alone(times: int, *, in_master: bool) -> list[Row]:
    where = "in its master's process" if in_master else "in a process of its own"
    with buildbot(1, 50, in_master=in_master) as made:
        one, fifty = ([made.build(count) for _ in range(times)] for count in (1, 50))
    return [
        Row(f"Buildbot, worker {where}: change to first step", [built.first_step for built in one], "s"),
        Row(f"Buildbot, worker {where}: change to end, 1 step", [built.finished for built in one], "s"),
        Row(f"Buildbot, worker {where}: change to end, 50 steps", [built.finished for built in fifty], "s"),
    ]


if __name__ == "__main__":
    print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 15)))
