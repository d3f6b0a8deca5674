"""Every Fixtures: ready on entering, gone on leaving; the real ones are real servers."""

import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from delivery.adapters.process_fixtures import ProcessFixtures
from delivery.adapters.process_runner import ProcessRunner
from delivery.config import CommandFixture, Fixture, PostgresqlFixture, Readiness
from delivery.errors import ConfigurationError, TransientError
from delivery.ports import Fixtures
from tests.fakes.fixtures import NamedFixtures

SERVER = "exec python3 -m http.server {port} --bind 127.0.0.1"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that one PostgreSQL template serves the session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def real(tmp_path: Path, cache: Path) -> ProcessFixtures:
    return ProcessFixtures(ProcessRunner(), tmp_path / "work", cache)


@pytest.fixture(params=[pytest.param("real", marks=pytest.mark.integration), "fake"])
def fixtures(request: pytest.FixtureRequest) -> Fixtures:
    if request.param == "fake":
        return NamedFixtures()
    found: ProcessFixtures = request.getfixturevalue("real")
    return found


def nothing(_chunk: bytes) -> None:
    """Output that no test looks at."""


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_postgresql_tells_where_it_is(fixtures: Fixtures, tmp_path: Path) -> None:
    asked = PostgresqlFixture(database="shop", user="ada", password="s3cret/word")
    with fixtures.start(Fixture(postgresql=asked), tmp_path, nothing) as told:
        assert (told["PGHOST"], told["PGUSER"], told["PGDATABASE"]) == ("127.0.0.1", "ada", "shop")
        assert told["PGPASSWORD"] == "s3cret/word"
        assert told["PGPORT"].isdigit()
        assert told["DATABASE_URL"].endswith(f"@127.0.0.1:{told['PGPORT']}/shop")


def test_a_command_tells_its_port_where_it_says(fixtures: Fixtures, tmp_path: Path) -> None:
    asked = CommandFixture(command=SERVER, provides={"FAKE_URL": "http://127.0.0.1:{port}/x"})
    with fixtures.start(Fixture(run=asked), tmp_path, nothing) as told:
        assert told == {"PORT": told["PORT"], "FAKE_URL": f"http://127.0.0.1:{told['PORT']}/x"}


def test_a_fixture_that_says_nothing_is_refused(fixtures: Fixtures, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="neither"), fixtures.start(Fixture(), tmp_path, nothing):
        pass


def test_the_body_may_fail_and_its_error_comes_through(fixtures: Fixtures, tmp_path: Path) -> None:
    asked = Fixture(run=CommandFixture(command=SERVER))
    with pytest.raises(KeyError, match="mine"), fixtures.start(asked, tmp_path, nothing):
        raise KeyError("mine")


@pytest.mark.integration
def test_a_real_postgresql_can_be_used_and_asks_for_its_password(real: ProcessFixtures, tmp_path: Path) -> None:
    said: list[bytes] = []
    with real.start(Fixture(postgresql=PostgresqlFixture()), tmp_path, said.append) as told:
        with psycopg.connect(told["DATABASE_URL"]) as connection:
            connection.execute("CREATE EXTENSION pg_trgm")
            assert connection.execute("SELECT current_database(), 'ä' ILIKE 'Ä'").fetchone() == ("test", True)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(told["DATABASE_URL"].replace(":postgres@", ":wrong@"))
    assert b"database system is ready" in b"".join(said)
    assert not is_open(int(told["PGPORT"]))
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.integration
def test_a_second_real_postgresql_is_another_from_the_same_template(
    real: ProcessFixtures, tmp_path: Path, cache: Path
) -> None:
    asked = Fixture(postgresql=PostgresqlFixture())
    with real.start(asked, tmp_path, nothing) as first, psycopg.connect(first["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE t ()")
        connection.commit()
        templates = {path.stat().st_ino for path in cache.iterdir()}
        with real.start(asked, tmp_path, nothing) as second, psycopg.connect(second["DATABASE_URL"]) as other:
            assert other.execute("SELECT to_regclass('t')").fetchone() == (None,)
            assert {path.stat().st_ino for path in cache.iterdir()} == templates


@pytest.mark.integration
def test_a_fixed_port_is_used_and_a_taken_one_is_said_so(real: ProcessFixtures, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    asked = Fixture(postgresql=PostgresqlFixture(port=port))
    with real.start(asked, tmp_path, nothing) as told:
        assert told["PGPORT"] == str(port)
        with (
            pytest.raises(TransientError, match=f"port {port} of 127.0.0.1 is taken"),
            real.start(asked, tmp_path, nothing),
        ):
            pass


@pytest.mark.parametrize(
    "ready",
    [
        Readiness(tcp=True),
        Readiness(http="/"),
        Readiness(command="exec 3<>/dev/tcp/127.0.0.1/{port}"),
    ],
    ids=["tcp", "http", "command"],
)
def test_a_real_command_is_ready_when_it_says_so_and_gone_afterwards(
    real: ProcessFixtures, tmp_path: Path, ready: Readiness
) -> None:
    (tmp_path / "hello").write_text("from the checkout")
    asked = Fixture(run=CommandFixture(command=SERVER, ready=ready))
    with (
        real.start(asked, tmp_path, nothing) as told,
        urllib.request.urlopen(f"http://127.0.0.1:{told['PORT']}/hello") as answer,
    ):
        assert answer.read() == b"from the checkout"
    assert not is_open(int(told["PORT"]))


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("echo broken; exit 7", "exited with 7 before it was ready"),
        (["no-such-server"], "command not found: 'no-such-server'"),
        ("sleep 60", "not ready within 0.3 s"),
    ],
)
def test_a_real_command_that_does_not_get_ready_says_why(
    real: ProcessFixtures, tmp_path: Path, command: str | list[str], why: str
) -> None:
    asked = CommandFixture(command=command, ready=Readiness(tcp=True, timeout_seconds=0.3))
    with pytest.raises(TransientError, match=why), real.start(Fixture(run=asked), tmp_path, nothing):
        pass


@pytest.mark.integration
def test_a_real_postgresql_does_not_outlive_a_killed_shipline(tmp_path: Path, cache: Path) -> None:
    program = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from delivery.adapters.process_fixtures import ProcessFixtures
        from delivery.adapters.process_runner import ProcessRunner
        from delivery.config import Fixture, PostgresqlFixture
        fixtures = ProcessFixtures(ProcessRunner(), Path({str(tmp_path)!r}), Path({str(cache)!r}))
        with fixtures.start(Fixture(postgresql=PostgresqlFixture()), Path("/"), lambda chunk: None) as told:
            print(told["PGPORT"], flush=True)
            time.sleep(60)
    """)
    shipline = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert shipline.stdout is not None
    try:
        port = int(shipline.stdout.readline())
        assert is_open(port)
    finally:
        shipline.kill()
        shipline.wait()
        shipline.stdout.close()
    wait_until(lambda: not is_open(port) and _serving_below(tmp_path) == [])


def _serving_below(folder: Path) -> list[int]:
    found = psutil.process_iter(["cmdline"])
    return [
        one.pid for one in found if "postgres" in (line := " ".join(one.info["cmdline"] or [])) and str(folder) in line
    ]


def wait_until(true: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.02)
