"""A step in a sandbox: a checkout that holds its declared inputs and nothing else, no history either.

What does not pass there is executed once more in a whole checkout. When it passes, the step reads what its inputs do
not name, and so may be reused although that has changed; which files it reads the file system tells, by the time of
their last reading. That second execution is never kept.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from delivery.archive import members_below
from delivery.impact import shown
from delivery.paths import matching
from delivery.step import StepResult, StepState
from delivery.step_execution import StepOrder

_HISTORY = ".git"
_UNKNOWN = "which file that is this file system does not tell; or it looks at what files there are"
_DOUBTFUL = frozenset({StepState.FAILED, StepState.ERRORED})


def execute_in_sandbox(
    order: StepOrder, patterns: Sequence[str], execute: Callable[[StepOrder], StepResult]
) -> StepResult:
    """The result of the step with its declared inputs alone; without patterns those are all files."""

    def renew(folder: Path) -> None:
        order.renew(folder)
        keep_only(folder, patterns)

    keep_only(order.folder, patterns)
    result = execute(replace(order, renew=renew))
    return _compared(result, order, patterns, execute) if result.state in _DOUBTFUL else result


def keep_only(folder: Path, patterns: Sequence[str]) -> None:
    """Leave of a checkout the files that a pattern means."""
    members = members_below(folder)
    undeclared = set(_undeclared(folder, patterns))
    for path in sorted(members, reverse=True):  # what is in a folder before the folder
        if path.name == _HISTORY and path.is_dir():
            shutil.rmtree(path)
        elif path.relative_to(folder).as_posix() in undeclared:
            path.unlink(missing_ok=True)
        elif path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


def _compared(
    result: StepResult, order: StepOrder, patterns: Sequence[str], execute: Callable[[StepOrder], StepResult]
) -> StepResult:
    """The same, told apart from what has nothing to do with the sandbox."""
    order.renew(order.folder)
    unread = _never_read(order.folder, _undeclared(order.folder, patterns))
    step = order.step.model_copy(update={"reuse": False})
    whole = execute(replace(order, step=step, log=order.private.parent / order.log.name))
    if whole.state is not StepState.COMPLETED:
        return replace(result, reason=f"{result.reason}; so it ends in a whole checkout too: {whole.reason}")
    read = [name for name in unread if _was_read(order.folder / name)]
    because = f"it passes in a whole checkout, and reads there what its inputs do not name: {shown(read) or _UNKNOWN}"
    return replace(result, state=StepState.FAILED, reason=f"{result.reason}; {because}")


def _undeclared(folder: Path, patterns: Sequence[str]) -> list[str]:
    """Files and links that no pattern means, and git's own file of a checkout."""
    found = [path for path in members_below(folder) if path.is_symlink() or not path.is_dir()]
    names = sorted(path.relative_to(folder).as_posix() for path in found)
    declared = set(matching(patterns, names) if patterns else names)
    return [name for name in names if name not in declared or _HISTORY in name.split("/")]


def _never_read(folder: Path, names: Sequence[str]) -> list[str]:
    """Those that now look as if nobody had ever read them; of the history one file stands for all."""
    watched = [one for one in names if _HISTORY not in one.split("/") or one == f"{_HISTORY}/HEAD"]
    for name in watched:
        os.utime(folder / name, ns=(0, (folder / name).lstat().st_mtime_ns), follow_symlinks=False)
    return watched


def _was_read(path: Path) -> bool:
    try:
        return path.lstat().st_atime_ns > 0
    except OSError:  # the step has removed it
        return False
