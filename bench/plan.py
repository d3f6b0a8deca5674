"""What planning takes in a long history and in a wide tree, beside what git itself takes to compare the same revisions.

`python -m bench.plan [TIMES]` makes both repositories, and a ledger in a PostgreSQL of its own.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench.table import Row, markdown
from delivery.actor import SHIPLINE
from delivery.adapters.embedded import connect
from delivery.adapters.embedded_postgresql import EmbeddedPostgresql
from delivery.builds import LedgerBuilds
from delivery.connections import Connections
from delivery.home import Home
from delivery.planning import PlanRequest, Surroundings, make_plan
from delivery.promoting.candidates import configuration_at
from shipline.control.components import prepare_database
from shipline.control.planning import Asked, plan
from shipline.control.projects import register
from shipline.control.settings import ControlSettings

PROJECT = "wide"
_LIBRARIES = 20


@dataclass(frozen=True, slots=True)
class Layout:
    """How large a repository is."""

    services: int
    files: int
    commits: int

    def configuration(self) -> str:
        """Each service with a step and a build of its own, on one of the libraries."""
        lines = ["version: 1", f"project: {PROJECT}", "libraries:"]
        lines += [f"  lib{number}: {{paths: [libraries/{number}]}}" for number in range(_LIBRARIES)]
        lines.append("services:")
        for number in range(self.services):
            lines += [
                f"  s{number}:",
                f"    paths: [services/{number}]",
                f"    depends_on: [lib{number % _LIBRARIES}]",
                f"    build: {{command: make -C services/{number}, output: services/{number}/out}}",
                f"    run: {{command: ./serve, port: {10000 + number}}}",
            ]
        lines += ["steps:", "  test: {command: make test, per: service}"]
        return "\n".join([*lines, "environments:", "  dev: {tier: development, watch_seconds: 0}", ""])

    def paths(self) -> list[str]:
        """Nine of ten files belong to services, spread over folders; the others to libraries."""
        owners = [f"libraries/{number}" for number in range(_LIBRARIES)]
        return [
            f"{owners[number // 10 % _LIBRARIES] if number % 10 == 0 else f'services/{number % self.services}'}"
            f"/package{number // self.services % 7}/module_{number}.py"
            for number in range(self.files)
        ]


LONG = Layout(services=20, files=2_000, commits=10_000)
WIDE = Layout(services=1_000, files=100_000, commits=2)


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds each time, and the most memory that the process ever had."""

    git: list[float]
    planning: list[float]
    answer: list[float]
    megabytes: float


def measured(times: int = 15) -> list[Row]:
    """Each layout in a process of its own, so that its memory is its own."""
    long, wide = (_in_own_process(layout, times) for layout in (LONG, WIDE))
    beside = ("`git diff --raw -z` of the same range", median(long.git))
    limit = 1.3 * median(long.git) + 0.020
    return [
        Row("plan, 20 services and 10,000 commits", long.planning, "s", limit, beside=beside),
        Row("the same with looking at the work tree and fetching from it", long.answer, "s"),
        Row("plan, 1,000 services and 100,000 files, fetched too", wide.answer, "s", 1.5),
        Row("most memory of the process that makes that plan", [wide.megabytes], "MB", 300),
    ]


def _in_own_process(layout: Layout, times: int) -> Figures:
    words = (sys.executable, "-m", "bench.plan", "--child", json.dumps(asdict(layout)), str(times))
    return Figures(**json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout))


def figures(layout: Layout, times: int) -> Figures:
    """Comparing, planning and answering, in turn."""
    git, planning, answer = [], [], []
    with tempfile.TemporaryDirectory(prefix="sl-", dir="/tmp") as name:
        tree, first = repository(layout, Path(name) / "tree")
        with connected(Home(Path(name) / "home"), tree) as connections:
            request = _request(connections, first)
            for _ in range(times + 1):
                git.append(_seconds(lambda: _diff(tree, first)))
                planning.append(_seconds(lambda: _plan(connections, request)))
                answer.append(_seconds(lambda: plan(connections, PROJECT, Asked(base=first))))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return Figures(git[1:], planning[1:], answer[1:], peak)


def repository(layout: Layout, folder: Path) -> tuple[Path, str]:
    """A work tree's git folder with such a history, and its first commit."""
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(folder)], check=True)
    content = "".join(_commits(layout)).encode()
    subprocess.run(["git", "-C", str(folder), "fast-import", "--quiet"], input=content, check=True)
    listed = subprocess.run(
        ["git", "-C", str(folder), "rev-list", "--max-parents=0", "main"], check=True, capture_output=True, text=True
    )
    return folder, listed.stdout.strip()


def _commits(layout: Layout) -> Iterator[str]:
    """What `git fast-import` reads: a first commit of everything, then a file of a library a commit."""
    paths = layout.paths()
    for number in range(layout.commits):
        files = {paths[number * 10 % len(paths)]: f"content {number}\n"}
        if number == 0:
            files = {path: path for path in paths} | {"shipline.yaml": layout.configuration()}
        yield f"commit refs/heads/main\ncommitter bench <bench@example.invalid> {1_700_000_000 + number} +0000\n"
        yield "data 12\nfeat: change\n"
        for path, text in files.items():
            yield f"M 100644 inline {path}\ndata {len(text)}\n{text}\n"


@contextmanager
def connected(home: Home, tree: Path) -> Iterator[Connections]:
    """A ledger that knows the project, and the project's mirror."""
    server = EmbeddedPostgresql(home)
    server.prepare()
    server.start()
    try:
        prepare_database(home, ControlSettings())
        connections = connect(home)
        register(connections, str(tree), PROJECT, SHIPLINE)
        plan(connections, PROJECT, Asked())
        yield connections
        connections.close()
    finally:
        server.stop()


def _request(connections: Connections, base: str) -> PlanRequest:
    revision = connections.source(PROJECT).resolve("main")
    configuration = configuration_at(connections, PROJECT, revision.commit)
    return PlanRequest(PROJECT, revision, configuration, tested=(base,))


def _plan(connections: Connections, request: PlanRequest) -> None:
    builds = LedgerBuilds(connections.ledger, PROJECT)
    make_plan(request, Surroundings(connections.source(PROJECT), connections.step_cache, builds, str))


def _diff(tree: Path, base: str) -> None:
    subprocess.run(["git", "-C", str(tree), "diff", "--raw", "-z", base, "main"], check=True, capture_output=True)


def _seconds(act: Callable[[], object]) -> float:
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(asdict(figures(Layout(**json.loads(sys.argv[2])), int(sys.argv[3])))))
    else:
        print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 15)))
