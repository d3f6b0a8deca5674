"""What a person waits for, and what an installation costs: starting it, a run of five steps, the same run again.

`python -m bench.installation [TIMES]` makes a home and a repository of its own, and removes them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.table import Row, markdown

SHIPLINE = (sys.executable, "-Im", "shipline.cli.main")
STEPS = ("one", "two", "three", "four", "five")
_GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@example.invalid", "-c", "commit.gpgsign=false")


@dataclass(frozen=True, slots=True)
class Place:
    """A repository, and the home that it is delivered with."""

    tree: Path
    home: Path

    def shipline(self, *words: str) -> str:
        """Run a command as a person would; what it prints."""
        environment = {**os.environ, "SHIPLINE_HOME": str(self.home)}
        done = subprocess.run(
            [*SHIPLINE, *words], cwd=self.tree, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def write(self, files: Mapping[str, str]) -> None:
        """Put files into the work tree."""
        for path, content in files.items():
            (self.tree / path).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / path).write_text(content)

    def commit(self, content: str, path: str = "input") -> None:
        """A new revision, which differs in one file: every echo step depends on `input`."""
        self.write({path: content})
        subprocess.run([*_GIT, "add", "--all"], cwd=self.tree, check=True)
        subprocess.run([*_GIT, "commit", "--quiet", "-m", "feat: another input"], cwd=self.tree, check=True)

    def head(self) -> str:
        """The id of the newest revision."""
        command = ("git", "rev-parse", "HEAD")
        return subprocess.run(command, cwd=self.tree, check=True, capture_output=True, text=True).stdout.strip()

    def megabytes(self) -> float:
        """Proportional set size of the control plane."""
        return float(json.loads(self.shipline("status", "--json"))["control_plane"]["memory_bytes"]) / 1e6


@contextmanager
def place(name: str = "echo", files: Mapping[str, str] | None = None) -> Iterator[Place]:
    """A repository (of five echo steps in a row), and an empty home; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="sl-", dir="/tmp") as folder:  # PostgreSQL's socket needs a short path
        made = Place(Path(folder) / name, Path(folder) / "home")
        made.tree.mkdir()
        subprocess.run([*_GIT, "init", "--quiet", "--initial-branch=main"], cwd=made.tree, check=True)
        made.write(files or {"shipline.yaml": configuration()})
        made.commit("0")
        try:
            yield made
        finally:
            made.shipline("down", "--environments")


def configuration(steps: Sequence[str] = STEPS) -> str:
    """Steps that say their names, each after the one before it."""
    lines = ["version: 1", "project: echo", "steps:"]
    for before, step in zip((None, *steps), steps, strict=False):
        needs = f", needs: [{before}]" if before else ""
        lines.append(f"  {step}: {{command: echo {step}, inputs: [input]{needs}}}")
    return "\n".join([*lines, ""])


def seconds(act: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


def measured(times: int = 15) -> list[Row]:
    """All of it, in the order in which a person meets it."""
    with place() as made:
        first = [seconds(lambda: made.shipline("up"))]
        later = [again_up(made) for _ in range(5)]
        ready = [made.megabytes()]
        made.shipline("run")
        command = [seconds(lambda: made.shipline("--version")) for _ in range(times)]
        runs = [new_run(made, number) for number in range(1, times + 1)]
        again = [seconds(lambda: made.shipline("run")) for _ in range(times)]
        used = [made.megabytes()]
        tour = [seconds(lambda: made.shipline("tour"))]
    return [
        Row("control plane ready, the first time", first, "s", 20),
        Row("control plane ready, later", later, "s", 9),
        Row("memory of the control plane when ready", ready, "MB", 420),
        Row("memory of the control plane after these runs", used, "MB", 450),
        Row("command line, start (`shipline --version`)", command, "s", 0.20),
        Row("`shipline run`, five echo steps in a row", runs, "s", 0.90),
        Row("`shipline run`, the same again", again, "s", 0.30),
        Row("`shipline tour`", tour, "s", 90),
    ]


def again_up(made: Place) -> float:
    """Seconds of a later start."""
    made.shipline("down")
    return seconds(lambda: made.shipline("up"))


def new_run(made: Place, number: int) -> float:
    """Seconds of a run in which nothing can be reused."""
    made.commit(str(number))
    return seconds(lambda: made.shipline("run"))


if __name__ == "__main__":
    print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 15)))
