"""A forked process becomes another program that imports Prefect: the two share the pages of all that is imported."""

import contextvars
import json
import os
import runpy
import sys
from pathlib import Path

from delivery.adapters.step_supervisors import SUPERVISORS


def become(order: str) -> None:
    """Be that program, in a forked process. It does not return before the program ends."""
    SUPERVISORS.let_go()
    asked = json.loads(order)
    os.chdir(asked["folder"])
    _write_to(Path(asked["log"]))
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]  # of flow runs
    os.environ.update(asked["environment"])
    sys.argv = [asked["module"], *asked["arguments"]]
    contextvars.Context().run(_run, asked["module"])  # without the settings of flow runs


def _write_to(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    nothing, opened = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for given, wanted in ((nothing, 0), (opened, 1), (opened, 2)):
        os.dup2(given, wanted)


def _run(module: str) -> None:
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()  # they were read from the environment when Prefect was imported
    runpy.run_module(module, run_name="__main__", alter_sys=True)
