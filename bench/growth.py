"""What a year costs: the questions that people ask most, at growing sizes of ledger and operations tables.

`python -m bench.growth [SHARE ...]` (default: 0.01 0.1 1) delivers a small project twice to have a template, copies it
to 50 projects until they have their share of 100,000 runs with 1,000,000 steps, and measures at each size. It draws
`bench/growth-*.svg`, and takes half an hour for the whole year.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg

from bench.charts import Curve, draw
from bench.installation import Place, place, seconds
from bench.simulated_year import (
    NAME,
    PROJECTS,
    RUNS,
    Simulated,
    counted,
    grow,
    look_at_head,
    read_template,
    repeat,
)
from bench.table import Row, markdown
from delivery.adapters.embedded import connect
from delivery.adapters.postgresql.urls import read_urls
from delivery.home import Home
from delivery.ledger import breaks
from shipline.cli.client import Address, Client
from shipline.control.control import Control
from shipline.control.credentials import api_token
from shipline.control.dispatcher import tick
from shipline.control.state import read_state
from tests.fakes.flow_runs import RecordedFlowRuns

SHARES = (0.01, 0.1, 1.0)
FOLDER = Path(__file__).parent
_STEPS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_PATIENCE_SECONDS = 120.0
_REST_SECONDS = 10.0
"""Until what the run began has ended: its processes, and what they tell Prefect."""
_MOST = 0.3
"""Seconds that a question may take, whatever the size."""
_NO_QUESTION = frozenset({"`shipline run` until a person is asked", "control plane ready again"})


def configuration() -> str:
    """One service through three environments, and ten steps."""
    steps = "\n".join(f"  {step}: {{command: echo {step}, inputs: [input]}}" for step in _STEPS)
    return f"""version: 1
project: {NAME}
services:
  web:
    paths: [input]
    build: {{command: mkdir -p dist && cp input dist/, inputs: [input], output: dist}}
    run:
      command: python3 -m http.server --bind 127.0.0.1 $PORT
      health: {{path: /, interval_seconds: 0.1}}
steps:
{steps}
smoke:
  alive: {{requests: [{{service: web, path: /}}]}}
environments:
  dev: {{tier: development, smoke: alive, watch_seconds: 1}}
  staging: {{tier: staging, after: dev, smoke: alive, watch_seconds: 1}}
  production: {{tier: production, after: staging, approvals: {{count: 1}}, smoke: alive, watch_seconds: 1}}
"""


@dataclass(slots=True)
class Sizes:
    """What was measured at each size."""

    runs: list[int] = field(default_factory=list)
    figures: dict[str, list[list[float]]] = field(default_factory=dict)
    """By what was asked: seconds of each time, for each size."""
    megabytes: dict[str, list[float]] = field(default_factory=dict)
    """By table."""

    def measure(self, questions: Mapping[str, Callable[[], object]], times: int) -> None:
        """Ask each once to get warm, and then so many times."""
        for what, act in questions.items():
            act()
            self.add(what, [seconds(act) for _ in range(times)])

    def add(self, what: str, figures: list[float]) -> None:
        """Of the present size."""
        self.figures.setdefault(what, []).append(figures)
        say(f"{what}: {statistics.median(figures):.3f} s")


def measured(shares: Sequence[float] = SHARES, times: int = 9) -> list[Row]:
    """Rows of the largest size, beside the smallest; the curves are drawn."""
    with place(NAME, {"shipline.yaml": configuration()}) as made:
        deliver(made, "the first")
        deliver(made, "the second")
        sizes = _sizes(made, shares, times)
    draw_curves(sizes)
    return [_row(what, figures, sizes.runs) for what, figures in sizes.figures.items()]


def deliver(made: Place, content: str, asked: Callable[[], None] = lambda: None) -> float:
    """Bring a new revision to production; `asked` is called while a person is waited for. Seconds until then."""
    made.commit(content)
    taken = seconds(lambda: made.shipline("run"))
    _until(lambda: json.loads(made.shipline("approvals", "--json")))
    time.sleep(_REST_SECONDS)
    asked()
    made.shipline("approve", json.loads(made.shipline("approvals", "--json"))[0]["id"])
    _until(lambda: json.loads(made.shipline("history", "production", "--json"))[0]["state"] == "Succeeded")
    return taken


def _until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def _sizes(made: Place, shares: Sequence[float], times: int) -> Sizes:
    sizes = Sizes()
    own = Simulated(NAME)
    projects = [own, *(Simulated(f"project-{number:02d}") for number in range(1, PROJECTS))]
    for share in shares:
        _grow(made, projects, round(RUNS * share / PROJECTS), sizes)
        home = Home(made.home)
        _chain_holds(home, own.name)
        sizes.runs.append(own.runs * PROJECTS)
        sizes.measure({"the dispatcher's look, nothing to do": _ticking(home)}, times)
        asked = partial(sizes.measure, questions(made, own), times)
        sizes.add("`shipline run` until a person is asked", [deliver(made, f"with {own.runs}", asked)])
        sizes.add("control plane ready again", [_again_up(made) for _ in range(3)])
    return sizes


def _grow(made: Place, projects: Sequence[Simulated], runs: int, sizes: Sizes) -> None:
    with closing(psycopg.connect(read_urls(Home(made.home)).owner, autocommit=True)) as connection:
        template = read_template(connection)
        look_at_head(connection, projects[0])
        grow(connection, template, projects, runs, say)
        repeat(connection, template, projects[0])
        for table, _, size in counted(connection):
            sizes.megabytes.setdefault(table, []).append(size / 1e6)


def questions(made: Place, one: Simulated) -> dict[str, Callable[[], object]]:
    """What people ask, of a project in which a promotion waits for one of them."""
    home = Home(made.home)
    folder = home.run_logs(one.run)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "one.log").write_text("one\n")
    client = Client(Address(str(read_state(home).url), api_token(home)))
    nouns = ("status", "history", "dora", "approvals")
    return {
        "`shipline --version`, which asks nobody": partial(made.shipline, "--version"),
        "`shipline status`": partial(made.shipline, "status"),
        "`shipline history`": partial(made.shipline, "history"),
        "`shipline logs RUN --step one`": partial(made.shipline, "logs", one.run, "--step", "one"),
        "`GET /projects`": partial(client.get, "/projects"),
        **{f"`GET /projects/PROJECT/{noun}`": partial(client.get, f"/projects/{one.name}/{noun}") for noun in nouns},
        "`GET /runs/RUN`": partial(client.get, f"/runs/{one.run}"),
    }


def _ticking(home: Home) -> Callable[[], object]:
    control = Control(connect(home), RecordedFlowRuns())
    return partial(tick, control, thorough=True)


def _again_up(made: Place) -> float:
    made.shipline("down")
    return seconds(lambda: made.shipline("up"))


def _chain_holds(home: Home, stream: str) -> None:
    ledger = connect(home).ledger
    assert breaks(ledger.entries(stream), ledger.streams()[stream]) == []


def say(text: str) -> None:
    """What goes on, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


def _row(what: str, figures: list[list[float]], runs: list[int]) -> Row:
    target = None if what in _NO_QUESTION else _MOST
    beside = (f"with {runs[0]:,} runs", statistics.median(figures[0])) if len(runs) > 1 else None
    return Row(f"{what}, after {runs[-1]:,} runs", figures[-1], "s", target, beside=beside)


def draw_curves(sizes: Sizes) -> None:
    """One picture of times, one of sizes on disk."""
    times = [Curve(what.replace("`", ""), [statistics.median(one) for one in f]) for what, f in sizes.figures.items()]
    draw(FOLDER / "growth-times.svg", "seconds, median", sizes.runs, times, limit=_MOST)
    tables = [Curve(table, megabytes) for table, megabytes in sizes.megabytes.items() if megabytes[-1] > 1]
    draw(FOLDER / "growth-tables.svg", "MB of each table with its indexes", sizes.runs, tables)


if __name__ == "__main__":
    print(markdown(measured([float(one) for one in sys.argv[1:]] or SHARES)))
