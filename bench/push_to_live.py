"""From `shipline run` of a one-line change to the new version answering in dev, beside act and a restart.

`python -m bench.push_to_live [TIMES]`: a small Go service, which is vetted, tested and built. Each of the
`three_ways` has a build cache of its own, so that nobody compiles for another.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from bench.installation import Place, place
from bench.table import Row, markdown
from bench.three_ways import WORKFLOW, Rounds, Service, add_origin, folders, run_steps, workflow
from delivery.adapters.postgresql_cluster import free_port

SERVICE = Service(
    steps=("go vet ./...", "go test ./...", "go build -o dist/web/web ."),
    output="dist/web",
    command=("./web",),
    path="/",
    version=int,
)
VERSION = 'package main\n\nconst version = "{}"\n'
_MAIN = """package main

import ("fmt"; "net/http"; "os")

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, version) })
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil); err != nil { panic(err) }
}
"""
_TEST = """package main

import "testing"

func TestVersion(t *testing.T) { if version == "" { t.Fatal("empty") } }
"""


def configuration(cache: Path, port: int) -> str:
    """Two steps and a build, each with the compiler, and one environment."""
    go = f"tools: [go], environment: {{GOCACHE: {cache}, GOTOOLCHAIN: local, CGO_ENABLED: '0'}}"
    vet, test, build = SERVICE.steps
    return f"""version: 1
project: live
services:
  web:
    paths: ["*.go", go.mod]
    build: {{command: "{build}", output: {SERVICE.output}, {go}}}
    run: {{command: ./web, health: {{path: /, interval_seconds: 0.05}}, stop_grace_seconds: 1}}
steps:
  vet: {{command: "{vet}", services: [web], {go}}}
  test: {{command: "{test}", services: [web], {go}}}
environments:
  dev: {{tier: development, watch_seconds: 0, services: {{web: {{port: {port}}}}}}}
"""


def measured(times: int = 15) -> list[Row]:
    """The commands alone, act and Shipline, in turn."""
    if shutil.which("go") is None:
        return [Row("push to live, a small Go service: skipped, there is no go here", [], "s")]
    with (
        folders("go-") as folder,
        pushed(folder) as (made, port),
        closing(Rounds(SERVICE, made, port, partial(variables, folder))) as rounds,
    ):
        for number in range(times + 1):
            made.commit(VERSION.format(number), "version.go")
            rounds.another(number)
    return rounds.rows(f"a small Go service ({', '.join(SERVICE.steps)})")


def variables(folder: Callable[[str], Path], whose: str) -> dict[str, str]:
    """What the commands see."""
    go = {"GOCACHE": str(folder(whose)), "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    return {**go, "TMPDIR": str(folder(f"{whose}-tmp")), "KEPT": str(folder("kept") / whose)}


@contextmanager
def pushed(folder: Callable[[str], Path]) -> Iterator[tuple[Place, int]]:
    """The service, delivered once, and its port in dev."""
    port = free_port()
    files = {
        "shipline.yaml": configuration(folder("shipline"), port),
        WORKFLOW: workflow(SERVICE),
        ".gitignore": "dist\n",
        "go.mod": "module example.invalid/web\n\ngo 1.21\n",
        "main.go": _MAIN,
        "main_test.go": _TEST,
        "version.go": VERSION.format(-1),
    }
    with place("live", files) as made:
        run_steps(SERVICE.steps, made.tree, variables(folder, "own"))
        for whose in ("act", "shipline"):  # the standard library is compiled once
            shutil.copytree(folder("own"), folder(whose), dirs_exist_ok=True)
            subprocess.run(["chmod", "-R", "a+rwX", folder(whose)], check=True)
        add_origin(made)
        made.shipline("run")
        yield made, port


if __name__ == "__main__":
    print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 15)))
