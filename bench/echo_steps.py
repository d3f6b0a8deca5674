"""What each further step costs beyond its command, beside act: runs of one and of five `echo` steps, in turn.

`python -m bench.echo_steps [TIMES]`. What differs is divided by four.
"""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from bench import tools
from bench.installation import STEPS, Place, place, seconds
from bench.table import Row, markdown

_MORE = len(STEPS) - 1


def configuration(count: int) -> str:
    """So many steps in a row."""
    steps = STEPS[:count]
    lines = ["version: 1", "steps:"]
    for before, step in zip((None, *steps), steps, strict=False):
        needs = f", needs: [{before}]" if before else ""
        lines.append(f"  {step}: {{command: echo {step}, inputs: [input]{needs}}}")
    return "\n".join([*lines, ""])


def workflow(count: int) -> str:
    """The same for act."""
    steps = "\n".join(f"      - run: echo {step}" for step in STEPS[:count])
    return f"on: push\njobs:\n  echo:\n    runs-on: ubuntu-latest\n    steps:\n{steps}\n"


def measured(times: int = 15) -> list[Row]:
    """The first round of each is left out."""
    try:
        act, missing = tools.act(), ""
    except tools.UnavailableError as error:
        act, missing = None, str(error)
    ours: dict[int, list[float]] = {1: [], len(STEPS): []}
    theirs: dict[int, list[float]] = {1: [], len(STEPS): []}
    with place("echo", files(1)) as made:
        origin = ("git", "remote", "add", "origin", "https://example.invalid/echo.git")
        subprocess.run(origin, cwd=made.tree, check=True)
        made.shipline("run")
        for _ in range(times):
            for count, figures in ours.items():
                _rewrite(made, count)
                figures.append(seconds(lambda: made.shipline("run")))
                if act:
                    theirs[count].append(seconds(lambda: _acted(act, made)))
    beside = ("act", _each(theirs)) if act else (missing, None)
    whole = ("act", median(theirs[1])) if act else (missing, None)
    return [
        Row("each further echo step", [_each(ours)], "s", 0.006, beside=beside),
        Row("`shipline run`, one echo step", ours[1], "s", beside=whole),
    ]


def files(count: int) -> dict[str, str]:
    """Both descriptions of the same steps."""
    return {"shipline.yaml": configuration(count), ".github/workflows/push.yml": workflow(count)}


def _rewrite(made: Place, count: int) -> None:
    """A new revision with so many steps, none of which has run before."""
    for path, content in files(count).items():
        (made.tree / path).write_text(content)
    made.commit(str(time.time()))


def _acted(act: Path, made: Place) -> None:
    command = [act, "push", "-P", "ubuntu-latest=-self-hosted"]
    subprocess.run(command, cwd=made.tree, check=True, capture_output=True)


def _each(figures: dict[int, list[float]]) -> float:
    return (median(figures[len(STEPS)]) - median(figures[1])) / _MORE


if __name__ == "__main__":
    print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 15)))
