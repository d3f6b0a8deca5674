"""From `shipline run` of a one-line change of Kinto to the new value answering in dev, beside act and a restart.

`python -m bench.push_to_live_kinto [TIMES]`: the pipeline of `examples/kinto` made short. Of its suite two modules run
that need no database, dev keeps its records in memory, and the build installs from a folder instead of an index. What
the suite imports is installed once: Shipline reuses that step, the others find its folder.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bench import tools
from bench.installation import Place, place
from bench.table import Row, markdown
from bench.three_ways import WORKFLOW, Rounds, Service, add_origin, folders, run_steps, workflow
from delivery.adapters.postgresql_cluster import free_port
from delivery.runner import SYSTEM_PATH

RELEASE = "26.5.0"
_EXAMPLE = Path(__file__).parents[1] / "examples" / "kinto"
_DEPLOY = _EXAMPLE / "deploy"
_LOCKS = (_DEPLOY / "requirements-build.lock", _DEPLOY / "requirements.lock")
_CHANGED = "kinto/core/__init__.py"
_LINE = '"batch_max_requests": {},'
_ORIGINAL = 25
_MODULES = "tests/test_views_hello.py tests/test_views_version.py"
_INSTALL = "bash deploy/dependencies.sh"
_VIEWS = f"""#!/bin/bash
set -euo pipefail
installed="$(mktemp -d)"  # kinto asks its own metadata for its version
mkdir "$installed/kinto.dist-info"
cp PKG-INFO "$installed/kinto.dist-info/METADATA"
export PYTHONPATH="${{DEPENDENCIES:-.dependencies}}:.:$installed"
exec python3 -m pytest --quiet --numprocesses 0 -p no:cacheprovider {_MODULES}
"""
_NO_BYTE_CODE = {"PYTHONDONTWRITEBYTECODE": "1"}
"""What is left of one round must not make the next one faster."""
_SHELL = {"PATH": SYSTEM_PATH, **_NO_BYTE_CODE}
"""Steps and services find what Shipline's find."""
SERVICE = Service(
    steps=("bash deploy/views.sh", "bash deploy/build.sh"),
    output="dist",
    command=("python3", "kinto_command.py", "start", "--ini", "kinto.ini", "--port", "{port}"),
    path="/v1/",
    version=lambda answer: int(json.loads(answer)["settings"]["batch_max_requests"]),
)


def configuration(port: int, wheels: Path) -> str:
    """The example's, with less to do and one environment."""
    made: dict[str, Any] = yaml.safe_load((_DEPLOY / "shipline.yaml").read_text())
    views, build = SERVICE.steps
    kinto = made["services"]["kinto"]
    kinto["build"] |= {"command": build, "environment": {**_NO_BYTE_CODE, **offline(wheels)}}
    kinto["run"] = {
        "command": list(SERVICE.command),
        "health": {**kinto["run"]["health"], "interval_seconds": 0.05},
        "environment": dict(_NO_BYTE_CODE),
        "stop_grace_seconds": 1,
    }
    suite = made["steps"].pop("suite")
    kept = {key: suite[key] for key in ("needs", "services", "inputs")}
    made["steps"]["views"] = {**kept, "command": views, "environment": dict(_NO_BYTE_CODE)}
    dev = {"tier": "development", "watch_seconds": 0, "services": {"kinto": {"port": port}}}
    return yaml.safe_dump({**made, "fixtures": {}, "smoke": {}, "environments": {"dev": dev}}, sort_keys=False)


def offline(wheels: Path) -> dict[str, str]:
    """For pip: how fast an index answers is not measured."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}


def measured(times: int = 5) -> list[Row]:
    """The commands alone, act and Shipline, in turn."""
    try:
        wheels = tools.wheels("kinto-wheels", shutil.which("python3", path=SYSTEM_PATH) or "python3", _LOCKS)
    except tools.UnavailableError as error:
        return [Row(f"push to live, Kinto: skipped, {error}", [], "s")]
    with folders("kinto-") as folder, pushed(wheels) as (made, port):
        source = (made.tree / _CHANGED).read_text()
        with closing(Rounds(SERVICE, made, port, partial(variables, folder, made.tree, wheels))) as rounds:
            for value in range(_ORIGINAL + 1, _ORIGINAL + times + 2):
                made.commit(source.replace(_LINE.format(_ORIGINAL), _LINE.format(value)), _CHANGED)
                rounds.another(value)
    return rounds.rows(f"Kinto ({', '.join(SERVICE.steps)}; an artifact of 2,500 files and 68 MB)")


def variables(folder: Callable[[str], Path], tree: Path, wheels: Path, whose: str) -> dict[str, str]:
    """What the commands see."""
    places = {"DEPENDENCIES": tree / ".dependencies", "TMPDIR": folder(whose), "KEPT": folder("kept") / whose}
    return {**_SHELL, **offline(wheels), **{name: str(place) for name, place in places.items()}}


@contextmanager
def pushed(wheels: Path) -> Iterator[tuple[Place, int]]:
    """Kinto's release, delivered once, and its port in dev; what its suite imports is in `.dependencies`."""
    port = free_port()
    with place("kinto", {"README": ""}) as made:
        script = (sys.executable, _EXAMPLE / "make_repository.py", made.tree, RELEASE)
        subprocess.run(script, check=True, capture_output=True)
        ignored = (made.tree / ".gitignore").read_text() + ".dependencies/\n"
        in_memory = (_DEPLOY / "kinto.ini").read_text().replace(".postgresql", ".memory")
        made.write({"shipline.yaml": configuration(port, wheels), WORKFLOW: workflow(SERVICE)})
        made.write({".gitignore": ignored, "deploy/kinto.ini": in_memory})
        made.commit(_VIEWS, "deploy/views.sh")
        run_steps((_INSTALL,), made.tree, _SHELL)
        add_origin(made)
        made.shipline("run")
        yield made, port


if __name__ == "__main__":
    print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 5)))
