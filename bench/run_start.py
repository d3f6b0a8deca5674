"""From a requested run to the process of its first step, on a warm and idle control plane, beside Buildbot.

`python -m bench.run_start [TIMES]`: a run of one step, which says what time it is, asked of the HTTP API, in turn with
a change that is posted to Buildbot for a build of the same step.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx

from bench.buildbot import buildbot_or_why
from bench.burst import control_api, wait_for
from bench.installation import Place, place
from bench.table import Row, markdown
from delivery.adapters import processes

_SETTLING_SECONDS = 1.5
_PATIENCE_SECONDS = 60.0
_BUILDBOTS_PART = 1 / 2


@dataclass(frozen=True, slots=True)
class Started:
    """One run, in seconds until the process of its first step said what time it is."""

    since_sent: float
    """From before the request, which is answered once the run is planned."""
    since_answered: float


def measured(times: int = 15) -> list[Row]:
    """A run and a build in turn; a first one of each is left out."""
    with stamping() as (made, mark), buildbot_or_why(1) as (buildbot, missing), control_api(made) as api:
        runs, builds = [], []
        for number in range(1, times + 1):
            made.commit(str(number))
            runs.append(requested(api, made.head(), mark))
            if buildbot:
                builds.append(buildbot.build(1).first_step)
    theirs = median(builds) if builds else None
    return rows(runs, ("Buildbot, from sending a change" if buildbot else missing, theirs))


def rows(runs: list[Started], buildbot: tuple[str, float | None]) -> list[Row]:
    """The same runs, counted from the answer and from before the request."""
    answered, sent = [run.since_answered for run in runs], [run.since_sent for run in runs]
    part = None if buildbot[1] is None else buildbot[1] * _BUILDBOTS_PART
    return [
        Row("run requested and answered, to its first step's process", answered, "s", 0.20),
        Row("the same, by its 95th percentile", answered, "s", 0.40, by_worst=True),
        Row("from sending that request, to its first step's process", sent, "s", part, beside=buildbot),
    ]


@contextmanager
def stamping() -> Iterator[tuple[Place, Path]]:
    """A repository whose one step writes the time into a file, run once, and that file."""
    with tempfile.TemporaryDirectory(prefix="mark-", dir="/tmp") as name:
        Path(name).chmod(0o777)  # a step may write there as whoever it runs
        mark = Path(name) / "mark"
        step = f"{{command: 'date +%s.%N > {mark}', inputs: [input]}}"
        with place("echo", {"shipline.yaml": f"version: 1\nproject: echo\nsteps:\n  one: {step}\n"}) as made:
            made.shipline("run")
            yield made, mark


def requested(api: httpx.Client, commit: str, mark: Path) -> Started:
    """Ask for a run as the command line does, once what went before has settled, and wait for its end."""
    mark.unlink(missing_ok=True)
    time.sleep(_SETTLING_SECONDS)
    sent = time.time()
    answer = api.post("/projects/echo/runs", json={"revision": commit}).raise_for_status()
    answered = time.time()
    assert processes.wait_until(lambda: mark.exists() and mark.read_text().endswith("\n"), _PATIENCE_SECONDS)
    started = float(mark.read_text())
    run = str(answer.json()["id"])
    assert wait_for(api, [run]) == {run: "Completed"}
    return Started(started - sent, started - answered)


if __name__ == "__main__":
    print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 15)))
