import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from delivery.actor import SHIPLINE
from delivery.adapters.embedded import connect
from delivery.adapters.embedded_postgresql import EmbeddedPostgresql
from delivery.adapters.postgresql.engine import make_engine, transaction
from delivery.adapters.postgresql.ledger import PostgresqlLedger
from delivery.adapters.postgresql.migration import migrate
from delivery.adapters.postgresql.operations import PostgresqlOperations
from delivery.adapters.postgresql.provision import provision
from delivery.adapters.postgresql.schema_version import NEWEST, bring_up_to_date, version_of
from delivery.adapters.postgresql.urls import DatabaseUrls, read_urls
from delivery.errors import ConfigurationError, NotFoundError, PermanentError, TransientError
from delivery.home import Home
from delivery.ledger import Draft, breaks
from tests.servers.postgresql import PostgresqlServer

pytestmark = pytest.mark.integration

_FAST = {"fsync": "off"}
"""The machine does not crash here, processes do."""
_LIFE_OF_A_SERVER = """
import sys, psutil, psycopg
from pathlib import Path
from delivery.adapters.embedded import connect
from delivery.adapters.embedded_postgresql import EmbeddedPostgresql
from delivery.home import Home

server = EmbeddedPostgresql(Home(Path(sys.argv[1])))
server.prepare()
server.start()
with psycopg.connect(server.urls.admin) as connection:
    print(psutil.Process(server.process_id()).username(), connection.execute("SELECT current_user").fetchone()[0])
server.stop()
print(server.ready())
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """A prepared home below folders that nobody else may enter; each test starts and stops its server."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        EmbeddedPostgresql(home, settings=_FAST).prepare()
        yield home


@pytest.fixture
def server(home: Home) -> Iterator[EmbeddedPostgresql]:
    server = EmbeddedPostgresql(home, settings=_FAST)
    yield server
    server.stop()


def _draft(key: str) -> Draft:
    return Draft("promotion.requested", {"id": key}, SHIPLINE, datetime.now(UTC), key)


def _plain(url: str) -> str:
    return url.replace("+asyncpg", "")


def test_each_role_reaches_its_own_database_only(server: EmbeddedPostgresql) -> None:
    server.start()
    urls = server.urls

    def who(url: str) -> tuple[object, ...] | None:
        with psycopg.connect(_plain(url)) as connection:
            return connection.execute(
                "SELECT current_user, current_database(), version() ~ '^PostgreSQL 18'"
            ).fetchone()

    assert who(urls.admin) == ("postgres", "postgres", True)
    assert who(urls.owner) == ("shipline_owner", "shipline", True)
    assert who(urls.application) == ("shipline_application", "shipline", True)
    assert who(urls.prefect) == ("prefect", "prefect", True)
    for url, database in ((urls.prefect, "shipline"), (urls.application, "prefect"), (urls.owner, "prefect")):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(_plain(url), dbname=database)


def test_no_password_no_entry(server: EmbeddedPostgresql) -> None:
    server.start()
    port = urlsplit(server.urls.admin).port

    for password in ("", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host="127.0.0.1", port=port, user="postgres", password=password, dbname="postgres")
    listening = {
        one.laddr.ip for one in psutil.Process(server.process_id()).net_connections() if one.status == "LISTEN"
    }
    assert listening == {"127.0.0.1"}


def test_prefect_may_have_the_extension_it_needs(server: EmbeddedPostgresql) -> None:
    server.start()
    with psycopg.connect(_plain(server.urls.prefect)) as connection:
        connection.execute("CREATE EXTENSION pg_trgm")


def test_credentials_are_for_their_owner_only(server: EmbeddedPostgresql, home: Home) -> None:
    folder = home.credentials

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == [
        "postgresql-admin",
        "postgresql-application",
        "postgresql-owner",
        "postgresql-prefect",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    server.start()
    password = urlsplit(server.urls.admin).password
    assert password
    process = psutil.Process(server.process_id())
    assert password not in " ".join([*process.cmdline(), *process.environ().values()])


def test_preparing_again_changes_nothing(server: EmbeddedPostgresql) -> None:
    before = server.urls
    server.prepare()
    server.start()
    server.prepare()

    assert server.urls == before
    with psycopg.connect(server.urls.application):
        pass


def test_nothing_above_the_data_is_opened_to_others(server: EmbeddedPostgresql, home: Home) -> None:
    """Nobody's folder is touched, also where the account that runs PostgreSQL cannot enter it by itself."""
    server.start()

    assert stat.S_IMODE(home.root.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.postgresql.stat().st_mode) == 0o700
    assert home.root.stat().st_uid == os.geteuid()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must run it as somebody else")
def test_root_runs_it_as_nobody_with_no_more_than_it_needs(server: EmbeddedPostgresql) -> None:
    server.start()
    process = psutil.Process(server.process_id())
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":" in line
    )

    assert process.username() == "nobody"
    assert status["NoNewPrivs"].strip() == "1"
    assert int(status["CapEff"], 16) in {0, 1 << 1, 1 << 2}  # nothing, or passing through closed folders


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run it as an ordinary user already")
def test_an_ordinary_user_runs_it_too() -> None:
    """With the system's Python: the one that runs the tests may lie where only root can enter."""
    nobody = pwd.getpwnam("nobody")
    packages = Path(psutil.__file__).parents[1]
    python = shutil.which(f"python{sys.version_info.major}.{sys.version_info.minor}", path="/usr/bin:/usr/local/bin")
    if python is None or not all(path.stat().st_mode & stat.S_IXOTH for path in (packages, *packages.parents)):
        pytest.skip("another user cannot run this Python environment")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        done = subprocess.run(
            [python, "-c", _LIFE_OF_A_SERVER, f"{folder}/home"],
            env={"PYTHONPATH": f"{Path(__file__).parents[2]}:{packages}"},
            capture_output=True,
            text=True,
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=(),
            check=False,
        )
    assert done.stdout == "nobody postgres\nFalse\n", done.stderr


def test_starting_twice_is_one_server(server: EmbeddedPostgresql, home: Home) -> None:
    server.start()
    running = server.process_id()
    again = EmbeddedPostgresql(home)
    again.start()

    assert again.process_id() == running
    with pytest.raises(TransientError, match=f"it runs already as process {running}"):
        again.command()
    again.stop()
    assert server.process_id() is None
    assert not server.ready()


def test_a_killed_server_starts_again_with_every_committed_entry(server: EmbeddedPostgresql) -> None:
    server.start()
    migrate(server.urls.owner)
    ledger = PostgresqlLedger(server.urls.application)
    ledger.append("shop", [_draft("before")])
    running = server.process_id()
    assert running is not None
    os.kill(running, signal.SIGKILL)
    psutil.Process(running).wait(10)
    server.start()

    entries = ledger.append("shop", [_draft("after")])
    assert entries[0].sequence == 2
    assert breaks(ledger.entries("shop"), ledger.streams()["shop"]) == []
    ledger.close()


def test_a_stale_process_id_never_blocks_a_start(server: EmbeddedPostgresql, home: Home) -> None:
    for process_id in (str(os.getpid()), "1", "4194303", "-5", "", "nonsense"):
        lines = [process_id, str(home.postgresql), "1700000000", "5432", "", "127.0.0.1", "  1234  5678", "ready   "]
        (home.postgresql / "postmaster.pid").write_text("\n".join(lines) + "\n")

        assert server.process_id() is None
        assert not server.ready()
        server.stop()
        server.start()
        assert server.ready()
        server.stop()


def test_the_port_stays_unless_somebody_took_it(server: EmbeddedPostgresql) -> None:
    server.start()
    first = urlsplit(server.urls.application).port
    server.stop()
    server.start()
    assert urlsplit(server.urls.application).port == first
    server.stop()

    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", first or 0))
        taken.listen()
        server.start()
        assert urlsplit(server.urls.application).port != first
        psycopg.connect(server.urls.application).close()
        psycopg.connect(_plain(server.urls.prefect)).close()


def test_whoever_supervises_starts_the_command_itself(server: EmbeddedPostgresql) -> None:
    command = server.command()
    with subprocess.Popen(
        command.arguments, env=dict(command.environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 20
        while not server.ready() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.ready()
        assert server.process_id() == process.pid
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0


def test_an_interrupted_preparation_is_made_anew(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    half_made = tmp_path / "home" / "postgresql.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgresql(home, settings=_FAST)
    server.prepare()
    server.start()

    psycopg.connect(server.urls.application).close()
    assert not half_made.exists()
    server.stop()


def test_lost_credentials_are_made_anew(server: EmbeddedPostgresql, home: Home) -> None:
    before = server.urls
    shutil.rmtree(home.credentials)
    with pytest.raises(NotFoundError, match="reading the database's address"):
        _ = server.urls
    server.prepare()
    server.start()

    assert server.urls.admin != before.admin
    for url in (server.urls.admin, server.urls.owner, server.urls.application, _plain(server.urls.prefect)):
        psycopg.connect(url).close()


def test_it_is_small(server: EmbeddedPostgresql) -> None:
    server.start()
    process = psutil.Process(server.process_id())
    together = [process, *process.children(recursive=True)]

    assert sum(one.memory_full_info().pss for one in together) < 60 * 1024 * 1024


def test_the_ledger_survives_a_restart_and_says_when_it_is_down(server: EmbeddedPostgresql) -> None:
    server.start()
    migrate(server.urls.owner)
    ledger, operations = PostgresqlLedger(server.urls.application), PostgresqlOperations(server.urls.application)
    ledger.append("blog", [_draft("one")])
    operations.save("runs", "r1", "blog", {"id": "r1"})
    server.stop()
    with pytest.raises(TransientError, match=r"appending to 'blog': .*"):
        ledger.append("blog", [_draft("two")])
    with pytest.raises(TransientError, match=r"reading runs: .*"):
        operations.find("runs")
    server.start()

    assert ledger.append("blog", [_draft("two")])[0].sequence == 2
    assert operations.load("runs", "r1") == {"id": "r1"}
    with psycopg.connect(server.urls.admin) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename ~ 'application'")
    time.sleep(0.1)  # longer than a connection may rest untried
    assert [row["id"] for row in ledger.rows("promotions", project="blog")] == ["one", "two"]
    ledger.close()
    operations.close()


def test_connections_that_died_a_moment_ago_are_replaced(server: EmbeddedPostgresql) -> None:
    """A server may restart faster than a connection has to rest before it is tried."""
    server.start()
    migrate(server.urls.owner)
    engine = make_engine(server.urls.application, pool_size=1)
    for _ in range(10):
        with transaction(engine, "looking") as own:
            backend = psutil.Process(own.info.backend_pid)
        backend.terminate()
        backend.wait(10)
        with transaction(engine, "looking again") as own:
            assert own.execute("SELECT 1").fetchone() == (1,)
    engine.dispose()


def test_a_server_that_moved_is_found_where_it_is_now(server: EmbeddedPostgresql, home: Home) -> None:
    server.start()
    migrate(server.urls.owner)
    operations = connect(home).operations
    assert isinstance(operations, PostgresqlOperations)
    operations.save("runs", "moving", "blog", {"id": "moving"})
    port = urlsplit(server.urls.application).port
    server.stop()
    with socket.create_server(("127.0.0.1", port or 0)):
        server.start()
        assert operations.load("runs", "moving") == {"id": "moving"}
        assert urlsplit(server.urls.application).port != port
    operations.close()


def test_nothing_told_about_an_error_holds_a_password(server: EmbeddedPostgresql) -> None:
    url = server.urls.application
    password = urlsplit(url).password
    assert password
    with pytest.raises(TransientError) as caught:
        PostgresqlLedger(url).streams()
    assert password not in caught.value.message + caught.value.hint


def test_migrating_again_does_nothing(postgresql_server: PostgresqlServer) -> None:
    with postgresql_server.database() as database:
        migrate(database.owner)
        with psycopg.connect(database.application) as connection:
            assert connection.execute("SELECT version_num FROM schema_versions").fetchall() == [(NEWEST,)]


def test_an_own_server_gets_the_same_roles(postgresql_server: PostgresqlServer) -> None:
    admin = postgresql_server.urls.admin
    first = provision(admin, "team_a")
    migrate(first.owner, "team_a_application")
    ledger = PostgresqlLedger(first.application)
    ledger.append("shop", [_draft("one")])
    ledger.close()

    assert provision(admin, "team_a", known=first) == first
    again = provision(admin, "team_a")
    assert again != first
    ledger = PostgresqlLedger(again.application)
    assert ledger.streams()["shop"][0] == 1
    ledger.close()
    psycopg.connect(_plain(again.prefect)).close()
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(again.application, dbname="shipline")


def test_an_own_server_needs_no_superuser(postgresql_server: PostgresqlServer) -> None:
    with psycopg.connect(postgresql_server.urls.admin, autocommit=True) as connection:
        connection.execute("CREATE ROLE maker LOGIN CREATEDB CREATEROLE PASSWORD 'word'")
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'word'")
    port = urlsplit(postgresql_server.urls.admin).port

    urls = provision(f"postgresql://maker:word@127.0.0.1:{port}/postgres", "team_b")
    migrate(urls.owner, "team_b_application")
    with pytest.raises(ConfigurationError, match="permission denied to create role") as caught:
        provision(f"postgresql://guest:word@127.0.0.1:{port}/postgres", "team_c")
    assert caught.value.hint == "SHIPLINE_DATABASE_URL must name a role with CREATEDB and CREATEROLE"


def test_urls_are_read_as_they_were_written(server: EmbeddedPostgresql, home: Home) -> None:
    urls = read_urls(home)

    assert isinstance(urls, DatabaseUrls)
    assert urls == server.urls
    assert urls.prefect.startswith("postgresql+asyncpg://prefect:")


def test_a_database_is_migrated_when_something_is_missing_only(postgresql_server: PostgresqlServer) -> None:
    fresh = provision(postgresql_server.urls.admin, "version_test")
    assert version_of(fresh.owner) is None
    bring_up_to_date(fresh.owner, "version_test_application")
    assert version_of(fresh.owner) == NEWEST
    ledger = PostgresqlLedger(fresh.application)
    ledger.append("shop", [_draft("first")])
    ledger.close()
    bring_up_to_date(fresh.owner, "nobody_by_this_name")  # nothing is done, or it would fail


def test_a_migration_that_fails_says_why(postgresql_server: PostgresqlServer) -> None:
    fresh = provision(postgresql_server.urls.admin, "failing_test")
    with pytest.raises(PermanentError, match=r'migrating the database: .*role "nobody_by_this_name" does not exist'):
        bring_up_to_date(fresh.owner, "nobody_by_this_name")
    assert version_of(fresh.owner) is None
