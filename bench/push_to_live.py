"""From `shipline run` of a one-line change to the new version answering in dev, beside act and a restart.

`python -m bench.push_to_live [TIMES]`: a small Go service, which is vetted, tested and built. What the three commands
take by themselves is measured in the same rounds and taken off: the rest is what each tool adds. Each has a build
cache of its own, so that nobody compiles for another.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import tools
from bench.installation import Place, place
from bench.table import Row, markdown
from delivery.adapters.postgresql_cluster import free_port

STEPS = ("go vet ./...", "go test ./...", "go build -o dist/web/web .")
_PATIENCE_SECONDS = 120.0
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
    vet, test, build = STEPS
    return f"""version: 1
project: live
services:
  web:
    paths: ["*.go", go.mod]
    build: {{command: "{build}", output: dist/web, {go}}}
    run: {{command: ./web, health: {{path: /, interval_seconds: 0.05}}, stop_grace_seconds: 1}}
steps:
  vet: {{command: "{vet}", services: [web], {go}}}
  test: {{command: "{test}", services: [web], {go}}}
environments:
  dev: {{tier: development, watch_seconds: 0, services: {{web: {{port: {port}}}}}}}
"""


def workflow() -> str:
    """The same for act."""
    keep = "install -D dist/web/web $KEPT"  # act removes the folder that it works in
    steps = "\n".join(f"      - run: {step}" for step in (*STEPS, keep))
    head = "on: push\njobs:\n  web:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4"
    return f"{head}\n{steps}\n"


@dataclass(slots=True)
class Restarted:
    """A service that is killed and started again, as a script after `act` would."""

    program: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    def restart(self) -> None:
        """Leave the port, then take it again."""
        self.stop()
        environment = {**os.environ, "PORT": str(self.port)}
        self.process = subprocess.Popen([self.program], env=environment)

    def stop(self) -> None:
        """The port is free then."""
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()


def measured(times: int = 15) -> list[Row]:
    """The commands alone, act and Shipline, in turn."""
    if shutil.which("go") is None:
        return [Row("push to live, a small Go service: skipped, there is no go here", [], "s")]
    with caches() as cache, pushed(cache) as (made, port):
        rounds = Rounds(made, port, cache)
        for number in range(times + 1):
            rounds.another(number)
        rounds.restarted.stop()
    return rounds.rows()


class Rounds:
    """The commands alone, act and Shipline, in turn; the first round of each is left out."""

    def __init__(self, made: Place, port: int, cache: Callable[[str], Path]) -> None:
        self._made, self._port, self._cache = made, port, cache
        self._own: list[float] = []
        self._theirs: list[float] = []
        self._ours: list[float] = []
        self._act: Path | None = None
        self._missing = ""
        self.restarted = Restarted(cache("kept") / "web", free_port())
        try:
            self._act = tools.act()
        except tools.UnavailableError as error:
            self._missing = str(error)

    def another(self, number: int) -> None:
        """Commit another version, and bring it to life each way."""
        made, act, cache = self._made, self._act, self._cache
        made.commit(VERSION.format(number), "version.go")
        self._own.append(_seconds(lambda: _commands(made.tree, cache("own"))))
        if act:
            acted = _live(self.restarted.port, number, lambda: _acted(act, made, cache("act"), self.restarted))
            self._theirs.append(acted)
        self._ours.append(_live(self._port, number, lambda: made.shipline("run")))

    def rows(self) -> list[Row]:
        """What was measured."""
        alone = median(self._own[1:])
        added = [took - alone for took in self._ours[1:]]
        beside = ("act and a restart", median(self._theirs[1:]) - alone) if self._theirs else (self._missing, None)
        return [
            Row(f"push to live, a small Go service ({', '.join(STEPS)})", self._ours[1:], "s"),
            Row("of it these three commands by themselves", self._own[1:], "s"),
            Row("of it what we add, to the new version answering", added, "s", 1.5, beside=beside),
        ]


@contextmanager
def caches() -> Iterator[Callable[[str], Path]]:
    """A folder for each, which a step may write as whoever it runs."""
    with tempfile.TemporaryDirectory(prefix="go-", dir="/tmp") as name:
        Path(name).chmod(0o755)

        def cache(whose: str) -> Path:
            folder = Path(name) / whose
            folder.mkdir(exist_ok=True)
            folder.chmod(0o777)
            return folder

        yield cache


@contextmanager
def pushed(cache: Callable[[str], Path]) -> Iterator[tuple[Place, int]]:
    """The service, delivered once, and its port in dev."""
    port = free_port()
    files = {
        "shipline.yaml": configuration(cache("shipline"), port),
        ".github/workflows/push.yml": workflow(),
        ".gitignore": "dist\n",
        "go.mod": "module example.invalid/web\n\ngo 1.21\n",
        "main.go": _MAIN,
        "main_test.go": _TEST,
        "version.go": VERSION.format("first"),
    }
    with place("live", files) as made:
        _commands(made.tree, cache("own"))
        for whose in ("act", "shipline"):  # the standard library is compiled once
            shutil.copytree(cache("own"), cache(whose), dirs_exist_ok=True)
            subprocess.run(["chmod", "-R", "a+rwX", cache(whose)], check=True)
        subprocess.run(["git", "remote", "add", "origin", "https://example.invalid/web.git"], cwd=made.tree, check=True)
        made.shipline("run")
        yield made, port


def _commands(tree: Path, cache: Path) -> None:
    environment = {**os.environ, "GOCACHE": str(cache), "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    for step in STEPS:
        subprocess.run(["bash", "-c", step], cwd=tree, env=environment, check=True, capture_output=True)


def _acted(act: Path, made: Place, cache: Path, restarted: Restarted) -> None:
    """On this machine as it is, without containers, then the restart."""
    variables = {"GOCACHE": cache, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "KEPT": restarted.program}
    given = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    command = [act, "push", "-P", "ubuntu-latest=-self-hosted", *given]
    subprocess.run(command, cwd=made.tree, check=True, capture_output=True)
    restarted.restart()


def _live(port: int, number: int, act: Callable[[], object]) -> float:
    """Seconds until that version answers; waits for both, the act and the answer."""
    begun, answered = time.monotonic(), threading.Event()
    seen: list[float] = []

    def look() -> None:
        while not answered.is_set() and time.monotonic() - begun < _PATIENCE_SECONDS:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1) as answer:
                if answer.read().decode() == str(number):
                    seen.append(time.monotonic() - begun)
                    return
            time.sleep(0.01)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    act()
    looking.join()
    assert seen, f"version {number} never answered at port {port}"
    return seen[0]


def _seconds(act: Callable[[], object]) -> float:
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


if __name__ == "__main__":
    print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 15)))
