"""The runs that this process works on: opened by the flow that composes, looked up by its subflows and tasks.

Their parameters are ids, so that Prefect's pages show what was meant and nothing else is sent to its API.
"""

from delivery.running.work import RunWork

_OPEN: dict[str, RunWork] = {}


def open_work(work: RunWork) -> None:
    """Let subflows find it."""
    _OPEN[work.run.id] = work


def work_of(run: str) -> RunWork:
    """The work of a run; KeyError when this process does not work on it."""
    return _OPEN[run]


def close_work(run: str) -> None:
    """It is done."""
    _OPEN.pop(run, None)
