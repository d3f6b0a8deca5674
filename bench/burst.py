"""Many runs requested at once: when all are listed, how many are done a second, and what memory they leave behind.

None may be lost or doubled. `python -m bench.burst [RUNS]` makes a home and a repository of its own, and removes them.
"""

import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from bench.installation import Place, place
from bench.table import Row, markdown
from delivery.home import Home
from shipline.control.credentials import api_token
from shipline.control.state import read_state

_CLIENTS = 8
_PATIENCE_SECONDS = 600.0
_STEP = "version: 1\nproject: echo\nsteps:\n  hello: {command: echo hello, inputs: [input]}\n"


@dataclass(frozen=True, slots=True)
class Burst:
    """What came of one burst."""

    listed_seconds: float
    """From the first request until all were listed."""
    runs_per_second: float
    ended: dict[str, str]
    """Run to state."""


def measured(runs: int = 200) -> list[Row]:
    """One burst on an idle control plane."""
    with place() as made:
        commits = [made.shipline("up")] and commit_all(made, runs)
        made.shipline("run")
        before = made.megabytes()
        burst = request_all(made, commits)
        after = at_rest(made)
    assert (len(burst.ended), set(burst.ended.values())) == (runs, {"Completed"}), burst.ended
    return [
        Row(f"{runs} one-step runs at once: until all are listed in their places", [burst.listed_seconds], "s", 2),
        Row(f"{runs} one-step runs at once: done", [burst.runs_per_second], "runs/s", 8, more_is_better=True),
        Row(f"memory of the control plane after {runs} runs", [after], "MB", 450, beside=("before them", before)),
    ]


def at_rest(made: Place) -> float:
    """Megabytes once the last flow runs' processes are gone."""
    time.sleep(10)
    return made.megabytes()


def commit_all(made: Place, runs: int) -> list[str]:
    """A commit for each run, none of them like another."""
    (made.tree / "shipline.yaml").write_text(_STEP)
    made.commit("one step")
    commits = []
    for number in range(runs):
        made.commit(f"burst {number}")
        commits.append(made.head())
    return commits


def request_all(made: Place, commits: Iterable[str]) -> Burst:
    """Ask for a run of each commit as fast as the API takes it, and wait for all."""
    with control_api(made) as api:
        begun = time.monotonic()
        with ThreadPoolExecutor(_CLIENTS) as clients:
            asked = list(clients.map(lambda commit: ask(api, commit), commits))
        listed = time.monotonic() - begun
        ended = wait_for(api, asked)
        return Burst(listed, len(asked) / (time.monotonic() - begun), ended)


def control_api(made: Place) -> httpx.Client:
    """Asks the control plane as its command line does."""
    home = Home(made.home)
    headers = {"Authorization": f"Bearer {api_token(home)}"}
    return httpx.Client(base_url=f"{read_state(home).url}/api/v1", headers=headers, trust_env=False, timeout=60)


def ask(api: httpx.Client, commit: str) -> str:
    """The id of the new run."""
    answer = api.post("/projects/echo/runs", json={"revision": commit, "plan_later": True}).raise_for_status()
    return str(answer.json()["id"])


def wait_for(api: httpx.Client, runs: list[str]) -> dict[str, str]:
    """The state of each at its end."""
    ended: dict[str, str] = {}
    until = time.monotonic() + _PATIENCE_SECONDS
    while len(ended) < len(runs) and time.monotonic() < until:
        queue = api.get("/queue").raise_for_status().json()
        waiting = {one["id"] for one in queue["waiting"]}
        for run in runs:
            if run not in ended and run not in waiting:
                found = api.get(f"/runs/{run}").raise_for_status().json()
                if found["finished"]:
                    ended[run] = found["state"]
        time.sleep(0.5)
    return ended


if __name__ == "__main__":
    print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 200)))
