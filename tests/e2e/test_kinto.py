"""A real service that nobody here wrote, taken from its published releases to production, twice.

Everything goes through the command line and its JSON. Kinto's suite runs as the stated subset `ci`.
"""

import base64
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from delivery.adapters.process_fixtures import ProcessFixtures
from delivery.adapters.process_runner import ProcessRunner
from delivery.config import Fixture, PostgresqlFixture

pytestmark = [pytest.mark.network, pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "kinto"
ENVIRONMENTS = ("dev", "staging", "production")
RUN_SECONDS = 600.0
STEP_SECONDS = 240.0


def make_repository(folder: Path, release: str) -> str:
    """Adds one release to the repository; gives its commit."""
    spec = importlib.util.spec_from_file_location("make_repository", EXAMPLE / "make_repository.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    commit: str = script.add_release(folder, release, os.environ.get("KINTO_SUITE", "ci"))
    return commit


@dataclass(frozen=True, slots=True)
class CommandLine:
    """`shipline` in one work tree, with one home."""

    home: Path
    work_tree: Path

    def __call__(self, *arguments: str, given: str | None = None, timeout: float = STEP_SECONDS) -> Any:  # noqa: ANN401  # JSON
        """The command's document; fails on any exit code but 0."""
        ran = subprocess.run(
            [sys.executable, "-m", "shipline.cli.main", *arguments, "--json"],
            cwd=self.work_tree,
            env={**os.environ, "SHIPLINE_HOME": str(self.home)},
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert ran.returncode == 0, f"shipline {' '.join(arguments)}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return json.loads(ran.stdout)

    def approve(self, environment: str) -> None:
        """Waits until something waits for a person there, and says yes."""

        def waiting() -> Any:  # noqa: ANN401  # JSON
            return next((one for one in self("approvals") if one["environment"] == environment), None)

        decided = self("approve", until(waiting, f"an approval for {environment}")["id"])
        assert decided["decision"] == "approve"

    def running(self, environment: str) -> Any:  # noqa: ANN401  # JSON
        """The one service there, or None."""
        (found,) = self("status", environment)["environments"]
        return found["services"][0] if found["services"] else None


def until(look: Callable[[], Any], what: str, seconds: float = STEP_SECONDS) -> Any:  # noqa: ANN401  # whatever is looked at
    """What a look finds as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    pytest.fail(f"waited {seconds:.0f} s for {what}")


@dataclass(slots=True)
class Client:
    """Asks production without a pause worth mentioning, and remembers every answer."""

    address: str
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def hammer(self) -> None:
        with httpx.Client(base_url=self.address, timeout=10) as client:
            while not self._stop.wait(0.01):
                try:
                    answer = client.get("/v1/")
                    answer.raise_for_status()
                    self.answers[answer.json()["project_version"]] += 1
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))

    @contextmanager
    def hammering(self, threads: int = 2) -> Iterator[None]:
        workers = [threading.Thread(target=self.hammer) for _ in range(threads)]
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            self._stop.set()
            for worker in workers:
                worker.join()


@pytest.fixture
def databases() -> Iterator[dict[str, str]]:
    """A PostgreSQL database for each environment, by name."""
    with tempfile.TemporaryDirectory(prefix="kinto-") as folder:
        fixtures = ProcessFixtures(ProcessRunner(), Path(folder) / "work", Path(folder) / "cache")
        asked = Fixture(postgresql=PostgresqlFixture(database="dev"))
        with fixtures.start(asked, Path(folder), lambda _: None) as variables:
            url = variables["DATABASE_URL"]
            with psycopg.connect(url, autocommit=True) as connection:
                for name in ENVIRONMENTS[1:]:
                    connection.execute(f"CREATE DATABASE {name}".encode())
            yield {name: f"{url.rpartition('/')[0]}/{name}" for name in ENVIRONMENTS}


@pytest.fixture
def shipline(tmp_path: Path, databases: dict[str, str]) -> Iterator[CommandLine]:
    """An installation of its own, with the secrets of the example set."""
    with tempfile.TemporaryDirectory(prefix="sl-", ignore_cleanup_errors=True) as home:
        work_tree = tmp_path / "kinto"
        make_repository(work_tree, "26.4.0")
        command = CommandLine(Path(home), work_tree)
        try:
            for environment, url in databases.items():
                command("secret", "set", "DATABASE_URL", "--env", environment, given=url)
            login = base64.b64encode(b"smoke:a-password").decode()
            command("secret", "set", "SMOKE_AUTHORIZATION", given=f"Basic {login}")
            command("secret", "set", "USERID_HMAC", given="b7a1c0ffee")
            yield command
        finally:
            command("down", "--environments")


def to_production(shipline: CommandLine, revision: str) -> Any:  # noqa: ANN401  # JSON
    """Run, approve twice, and give what production then runs."""
    run = shipline("run", timeout=RUN_SECONDS)
    assert run["revision"] == revision
    assert {step["state"] for step in run["steps"]} <= {"Completed", "Cached"}
    for environment in ("staging", "production"):
        shipline.approve(environment)

    def arrived() -> Any:  # noqa: ANN401  # JSON
        (last, *_) = shipline("history", "production")
        assert last["state"] not in {"Failed", "Errored", "Refused"}, last
        return last["state"] == "Succeeded" and shipline.running("production")

    return until(arrived, f"{revision} in production")


def test_two_releases_of_kinto_reach_production_and_no_request_fails(shipline: CommandLine) -> None:
    first = to_production(shipline, shipline("plan")["revision"])
    address = first.get("address") or first["url"]
    assert httpx.get(f"{address}/v1/__version__").json()["version"] == "26.4.0"

    revision = make_repository(shipline.work_tree, "26.5.0")
    client = Client(address)
    with client.hammering():
        second = to_production(shipline, revision)
        until(lambda: client.answers["26.5.0"] > 100, "answers of the new release")

    assert client.failures == []
    assert set(client.answers) == {"26.4.0", "26.5.0"}
    assert second["digest"] != first["digest"]
    assert second["previous"] == first["digest"]
    assert httpx.get(f"{address}/v1/__version__").json()["version"] == "26.5.0"
    assert shipline("incidents") == []
