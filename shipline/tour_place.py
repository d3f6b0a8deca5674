"""The tour's throw-away place: a git repository, a home, and the command line as a person would use it there."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from delivery.errors import DeliveryError
from delivery.home import Home
from shipline.cli.client import Client, segments
from shipline.cli.session import recorded_address

SHIPLINE = (sys.executable, "-I", "-m", "shipline.cli.main")
_COMMAND_SECONDS = 180
_WAIT_SECONDS = 120
_HAMMER_PAUSE_SECONDS = 0.02
"""Short enough to meet every moment of a rollout, long enough to leave the machine to it."""


class ClaimError(DeliveryError):
    """Something that the tour says does not hold."""


def claim(holds: object, words: str) -> None:
    """What the tour is about to say, which has to be true."""
    if not holds:
        raise ClaimError(f"does not hold: {words}")


@dataclass(slots=True)
class Place:
    """One tour's folder; `say` is told what a person should read."""

    folder: Path
    say: Callable[[str], None]
    project: str = ""
    """The slug."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What an earlier stage found out and a later one compares with."""

    @property
    def tree(self) -> Path:
        """The git work tree."""
        return self.folder / "small"

    @property
    def home(self) -> Path:
        """The throw-away SHIPLINE_HOME."""
        return self.folder / "home"

    def make_repository(self) -> None:
        """The tour's project as the first commit of a repository."""
        shutil.copytree(_project(), self.tree, ignore=shutil.ignore_patterns("__pycache__"))
        self._git("init", "-q", "-b", "main")
        self.commit("feat: a web service and a greeter")

    def change(self, path: str, old: str, new: str) -> None:
        """Replace the last such text of a file."""
        file = self.tree / path
        before, found, after = file.read_text().rpartition(old)
        claim(found, f"{path} has '{old}'")
        file.write_text(before + new + after)

    def commit(self, message: str) -> None:
        """Everything in the work tree."""
        self._git("add", "--all")
        self._git("commit", "-q", "-m", message)
        self.say(f"$ git commit -m '{message}'")

    def shipline(self, *words: str, code: int = 0) -> Any:  # noqa: ANN401  # JSON
        """A command's JSON, once it ended with the exit code that it should have."""
        self.say(f"$ shipline {' '.join(words)}")
        ended = self.call(*words, "--json")
        claim(ended.returncode == code, f"shipline {words[0]} ends with {code}: {_ending(ended)}")
        return json.loads(ended.stdout)

    def show(self, *words: str) -> None:
        """A command's output as people read it."""
        self.say(f"$ shipline {' '.join(words)}")
        ended = self.call(*words)
        claim(ended.returncode == 0, f"shipline {words[0]} ends with 0: {_ending(ended)}")
        for line in ended.stdout.rstrip().splitlines():
            self.say(f"  {line}")

    def answer(self, *path: str, **query: str) -> Any:  # noqa: ANN401  # JSON
        """What the API says; a command for every look while waiting would be slow."""
        address = recorded_address(Home(self.home))
        if address is None:
            raise ClaimError("does not hold: the control plane says where it listens")
        return Client(address).get(segments(*path), query)

    def call(self, *words: str, detached: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command; detached, Ctrl-C does not reach it."""
        return subprocess.run(
            [*SHIPLINE, *words],
            cwd=self.tree if self.tree.is_dir() else self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            start_new_session=detached,
            check=False,
        )

    def wait_for(self, what: str, found: Callable[[], Any]) -> Any:  # noqa: ANN401  # whatever was found
        """What a question answers once it answers at all."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline:
            answer = found()
            if answer:
                return answer
            time.sleep(0.3)
        raise ClaimError(f"does not hold after {_WAIT_SECONDS} s: {what}")

    def _environment(self) -> dict[str, str]:
        """The caller's, without another installation's settings; this interpreter is `python3`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHIPLINE_", "PREFECT_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return {**kept, "SHIPLINE_HOME": str(self.home), "PATH": path}

    def _git(self, *words: str) -> None:
        identity = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "Tour"), ("EMAIL", "tour@example.org"))
        }
        environment = {**self._environment(), **identity, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", *words], cwd=self.tree, env=environment, check=True, capture_output=True)


@contextmanager
def throw_away_place(say: Callable[[str], None], *, keep: bool) -> Iterator[Place]:
    """A place of which nothing is left, no process and no file, however the tour ends."""
    # PostgreSQL's socket lies below it, so the path has to be short.
    base = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108  # mkdtemp makes a private folder in it
    place = Place(Path(tempfile.mkdtemp(prefix="shipline-tour-", dir=base)), say)
    try:
        yield place
    finally:
        if keep:
            say(f"kept: {place.folder}; stop it with: SHIPLINE_HOME={place.home} shipline down --environments")
        else:
            with suppress(subprocess.TimeoutExpired):
                place.call("down", "--environments", detached=True)
            shutil.rmtree(place.folder, ignore_errors=True)


def ask(address: str, path: str = "/") -> Mapping[str, Any]:
    """A deployed service's JSON answer; ClaimError when it does not answer well."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
    except OSError as error:
        raise ClaimError(f"does not hold: {address}{path} answers ({error})") from error
    finally:
        connection.close()
    claim(answer.status < 400, f"{address}{path} answers well, not with {answer.status}")  # noqa: PLR2004  # HTTP's errors
    return dict(json.loads(content))


@dataclass(slots=True)
class Hammer:
    """A client that asks a service without pause; every failed request counts."""

    address: str
    path: str = "/"
    asked: int = 0
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._ask_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(10)

    def _ask_on(self) -> None:
        while not self._stop.wait(_HAMMER_PAUSE_SECONDS):
            self.asked += 1
            try:
                ask(self.address, self.path)
            except ClaimError as error:
                self.failed.append(error.message)


def _project() -> Path:
    """The example `small`: in the wheel beside this file, in a checkout among the examples."""
    packaged = Path(__file__).with_name("tour_project")
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "examples" / "small"


def _ending(ended: subprocess.CompletedProcess[str]) -> str:
    """How a command ended, for whoever has to find out why."""
    last = (ended.stderr or ended.stdout).strip().splitlines()[-12:]
    return "\n  ".join([f"it ended with {ended.returncode}", *last])
