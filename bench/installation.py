"""What a person waits for, and what an installation costs: starting it, a run of five steps, the same run again.

`python bench/installation.py [TIMES]` makes a home and a repository of its own, and removes them.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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

    def commit(self, content: str) -> None:
        """A new revision, which every step depends on."""
        (self.tree / "input").write_text(content)
        subprocess.run([*_GIT, "add", "--all"], cwd=self.tree, check=True)
        subprocess.run([*_GIT, "commit", "--quiet", "-m", "feat: another input"], cwd=self.tree, check=True)

    def megabytes(self) -> float:
        """Proportional set size of the control plane."""
        return float(json.loads(self.shipline("status", "--json"))["control_plane"]["memory_bytes"]) / 1e6


@contextmanager
def place() -> Iterator[Place]:
    """A repository of five echo steps in a row, and an empty home; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="shipline-bench-") as name:
        made = Place(Path(name) / "echo", Path(name) / "home")
        made.tree.mkdir()
        subprocess.run([*_GIT, "init", "--quiet", "--initial-branch=main"], cwd=made.tree, check=True)
        (made.tree / "shipline.yaml").write_text(configuration())
        made.commit("0")
        try:
            yield made
        finally:
            made.shipline("down", "--environments")


def configuration() -> str:
    """Five steps, each after the one before it."""
    lines = ["version: 1", "project: echo", "steps:"]
    for before, step in zip((None, *STEPS), STEPS, strict=False):
        needs = f", needs: [{before}]" if before else ""
        lines.append(f"  {step}: {{command: echo {step}, inputs: [input]{needs}}}")
    return "\n".join([*lines, ""])


def seconds(act: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


def main(times: int) -> None:
    """Measure, and print a table."""
    with place() as made:
        first = seconds(lambda: made.shipline("up"))
        later = []
        for _ in range(3):
            made.shipline("down")
            later.append(seconds(lambda: made.shipline("up")))
        ready = made.megabytes()
        made.shipline("run")
        starting = [seconds(lambda: made.shipline("--version")) for _ in range(times)]
        runs = []
        for number in range(times):
            made.commit(f"{number + 1}")
            runs.append(seconds(lambda: made.shipline("run")))
        again = [seconds(lambda: made.shipline("run")) for _ in range(times)]
        used = made.megabytes()
    rows: list[tuple[str, list[float], float]] = [
        ("ready, the first time, s", [first], 20),
        ("ready, later, s", later, 9),
        ("memory when ready, MB", [ready], 420),
        ("memory after the runs, MB", [used], 450),
        ("command line start, s", starting, 0.20),
        ("run of five echo steps, s", runs, 0.90),
        ("the same run again, s", again, 0.30),
    ]
    print(f"{'':28}{'median':>9}{'worst':>9}{'target':>9}")
    for title, figures, target in rows:
        print(f"{title:28}{statistics.median(figures):9.2f}{max(figures):9.2f}{target:9.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 15)
