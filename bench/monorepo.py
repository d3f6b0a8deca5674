"""A repository of twenty services: one of them changed, and nothing changed at all, beside Turborepo.

`python -m bench.monorepo [TIMES]`. Each service has one step, which takes 0.2 s; Turborepo runs it as a script of
the service's package.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from bench import tools
from bench.installation import Place, place, seconds
from bench.table import Row, markdown

_SERVICES = 20
_STEP = "sleep 0.2"
_STEP_SECONDS = 0.2


def configuration() -> str:
    """No environment: what is measured ends with the release."""
    lines = ["version: 1", "project: many", "services:"]
    for number in range(_SERVICES):
        build = f"{{command: 'mkdir -p out && cp packages/{number}/* out', output: out, inputs: [packages/{number}]}}"
        lines.append(f"  s{number}: {{paths: [packages/{number}], build: {build}, run: {{command: ./serve}}}}")
    return "\n".join([*lines, "steps:", f"  test: {{command: {_STEP}, per: service}}", ""])


def files() -> dict[str, str]:
    """The services, each a package of an npm workspace."""
    found = {
        "shipline.yaml": configuration(),
        ".gitignore": "node_modules\n.turbo\n",
        "turbo.json": json.dumps({"tasks": {"test": {"outputs": []}}}),
        "package.json": json.dumps({"name": "many", "packageManager": "npm@10.0.0", "workspaces": ["packages/*"]}),
        "package-lock.json": json.dumps({"name": "many", "lockfileVersion": 3, "requires": True, "packages": {}}),
    }
    for number in range(_SERVICES):
        package = {"name": f"s{number}", "version": "1.0.0", "scripts": {"test": _STEP}}
        found |= {f"packages/{number}/package.json": json.dumps(package), f"packages/{number}/source": "0"}
    return found


def measured(times: int = 15) -> list[Row]:
    """Both with one package changed, then with nothing changed, in turn; the first round of each is left out."""
    turbo, missing = _turbo()
    with place("many", files()) as made:
        made.shipline("run")
        if turbo:
            _repeated(turbo, made)
        changed, their_changed, again, their_again = [], [], [], []
        for number in range(times):
            made.commit(f"{number} {time.time()}", f"packages/{number % _SERVICES}/source")
            changed.append(seconds(lambda: made.shipline("run")))
            again.append(seconds(lambda: made.shipline("run")))
            if turbo:
                their_changed.append(seconds(lambda: _repeated(turbo, made)))
                their_again.append(seconds(lambda: _repeated(turbo, made)))
    theirs = median(their_again) if their_again else None
    beside = [("turbo", median(figures) if figures else None) for figures in (their_changed, their_again)]
    if missing:
        beside = [(missing, None)] * 2
    return [
        Row("one changed service of 20, its step and its build", changed, "s", _STEP_SECONDS + 0.3, beside=beside[0]),
        Row("20 services, nothing changed", again, "s", min(0.3, theirs or 0.3), beside=beside[1]),
    ]


def _turbo() -> tuple[Path | None, str]:
    try:
        return tools.turbo(), ""
    except tools.UnavailableError as error:
        return None, str(error)


def _repeated(turbo: Path, made: Place) -> None:
    """All packages' tests, from its cache where they have not changed."""
    environment = {**os.environ, "TURBO_TELEMETRY_DISABLED": "1", "TURBO_NO_UPDATE_NOTIFIER": "1"}
    command = [turbo, "run", "test", "--ui=stream"]
    subprocess.run(command, cwd=made.tree, env=environment, check=True, capture_output=True)


if __name__ == "__main__":
    print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 15)))
