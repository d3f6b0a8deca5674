"""The runs that this process works on: opened by the flow that composes, looked up by its subflows and tasks.

Their parameters are ids, so that Prefect's pages show what was meant and nothing else is sent to its API.
"""

from delivery.plan import Action
from delivery.running.work import RunWork

_OPEN: dict[str, RunWork] = {}


def open_work(work: RunWork) -> None:
    """Let subflows find it, and begin with the first checkout."""
    _OPEN[work.run.id] = work
    steps = sum(one.action is Action.RUN for one in work.plan.steps)
    work.checkouts.begin(steps + sum(one.artifact is None for one in work.plan.services))


def work_of(run: str) -> RunWork:
    """The work of a run; KeyError when this process does not work on it."""
    return _OPEN[run]


def close_work(run: str) -> None:
    """It is done; returns when no checkout is left."""
    work = _OPEN.pop(run, None)
    if work:
        work.checkouts.close()
