"""Backups and restores of a real home with a real PostgreSQL, whose control plane does not run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psutil
import psycopg
import pytest

from delivery.actor import SHIPLINE
from delivery.adapters import processes
from delivery.adapters.backup_writer import BackupWriter
from delivery.adapters.embedded_postgresql import EmbeddedPostgresql
from delivery.adapters.encrypted_secrets import EncryptedSecrets
from delivery.adapters.folder_store import FolderStore
from delivery.adapters.local.state import Desired, EnvironmentState, Side
from delivery.adapters.postgresql.copying import APPLICATION_RIGHTS, our_moment
from delivery.adapters.postgresql.detaching import detach
from delivery.adapters.postgresql.ledger import PostgresqlLedger
from delivery.adapters.postgresql.migration import migrate
from delivery.adapters.postgresql.urls import DatabaseUrls, Names, libpq_url, read_urls
from delivery.adapters.postgresql_programs import dump, load
from delivery.adapters.published_heads import publish_heads
from delivery.adapters.segment_files import SegmentFiles
from delivery.backup import Header
from delivery.config import Run
from delivery.errors import ConfigurationError, NotFoundError, PermanentError, TransientError
from delivery.home import Home
from delivery.ledger import Draft
from delivery.rollout import Target
from delivery.segmenting import close_segments, detach_old
from shipline.control import backing_up, lifecycle, restored_databases, restoring
from shipline.control.backing_up import back_up
from shipline.control.lock import only_one
from shipline.control.restoring import restore
from shipline.control.settings import ControlSettings
from shipline.control.state import ControlState, read_state, write_state
from tests.servers.local_lab import LocalLab
from tests.servers.postgresql import Database, PostgresqlServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]
EMBEDDED = ControlSettings()
SECRET = "tr0ub4dor-and-3"
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
TARGET = Target("shop", "dev", "eu")


def quiet(_: str) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """Seven entries, four of which are in closed segments only; a secret, a blob, an environment, Prefect's tables."""
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        home = Home(Path(folder) / "home")
        server = EmbeddedPostgresql(home)
        server.prepare()
        server.start()
        migrate(server.urls.owner)
        fill_databases(home, server.urls)
        server.stop()
        fill_files(home)
        yield home


def fill_databases(home: Home, urls: DatabaseUrls) -> None:
    segments = SegmentFiles(home)
    with closing(PostgresqlLedger(urls.application, segments=segments)) as ledger:
        held = (("environment.held", day) for day in range(1, 8))
        body = {"environment": "dev", "reason": "\u2028 naïve"}
        ledger.append("shop", [Draft(kind, body, SHIPLINE, LONG_AGO + timedelta(days=day)) for kind, day in held])
        close_segments(ledger, segments, length=2)
        now, year = LONG_AGO + timedelta(days=369, hours=1), timedelta(days=365)
        assert len(detach_old(ledger, segments, partial(detach, urls.owner), now, year)) == 2
        publish_heads(home, ledger.streams(), now)
    with psycopg.connect(libpq_url(urls.prefect)) as prefect:
        prefect.execute("CREATE EXTENSION pg_trgm")
        prefect.execute("CREATE TABLE flow_run AS SELECT 'waits' AS state")


def fill_files(home: Home) -> None:
    EncryptedSecrets(home).put("TOKEN", SECRET, "shop", None, "alice")
    FolderStore(home.store).put(b"a blob")
    write_state(home, ControlState(ports={"api": 23456, "prefect": 23457}))
    (home.tool_cache("shop")).mkdir(parents=True)
    (home.tool_cache("shop") / "big").write_text("made again")
    (home.work / "checkout").mkdir(parents=True)
    artifact = LocalLab(home).artifact("1")
    run = Run(command=["true"])
    side = Side(id="web-0123-4", service="web", artifact=artifact, release=artifact, run=run, percent=100)
    state = EnvironmentState(home, TARGET)
    state.change(4, lambda before: before.model_copy(update={"sides": (side,), "ports": {"web": 23458}}))
    kept = state.folder / "private" / "web" / "home"
    kept.mkdir(parents=True)
    (kept / "data").write_text("what the service keeps")


@pytest.fixture(scope="module")
def backup(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to restore from."""
    path = tmp_path_factory.mktemp("backups") / "monday.tar.gz"
    done = back_up(home, EMBEDDED, path, force=False, say=quiet)
    assert (done.path, done.bytes, done.projects) == (path, path.stat().st_size, ("shop",))
    assert done.streams["shop"][0] == 7
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert EmbeddedPostgresql(home).process_id() is None, "what was started for it is stopped"
    return path


@pytest.fixture
def place() -> Iterator[Home]:
    """Where there is no home yet."""
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        home = Home(Path(folder) / "home")
        yield home
        for one in (home, Home(home.restoring / "home")):
            EmbeddedPostgresql(one).stop()


def test_a_restored_home_has_what_the_other_had(home: Home, backup: Path, place: Home) -> None:
    said: list[str] = []
    made = restore(place, EMBEDDED, backup, said.append)
    assert (made["ok"], made["rows"], made["notes"], made["broken"]) == (True, 7, [], [])
    assert made["streams"]["shop"]["sequence"] == 7
    assert said[-1] == "ledger: 7 entries in 1 chains, whole"
    assert EncryptedSecrets(place).resolve("secret:TOKEN", "shop", "dev", "test") == SECRET
    assert read_state(place) == ControlState(ports={"api": 23456, "prefect": 23457})
    assert state_of(place) == state_of(home)
    folder = EnvironmentState(place, TARGET).folder
    assert [path.name for path in folder.glob("artifacts/*/*")] != [], "what should run is unpacked"
    assert (folder / "private" / "web" / "home" / "data").read_text() == "what the service keeps"
    same = ("credentials/secrets.key", "credentials/ledger-signing.key", "ledger-head.json")
    assert [(place.root / one).read_bytes() for one in same] == [(home.root / one).read_bytes() for one in same]
    assert sorted(path.name for path in place.store.rglob("*")) == sorted(path.name for path in home.store.rglob("*"))
    gone = {"work", "tool-caches", "restoring", ".restored"}
    assert not gone & {path.name for path in place.root.iterdir()}
    assert place.root.stat().st_mode & 0o777 == 0o700


def state_of(home: Home) -> Desired:
    return EnvironmentState(home, TARGET).desired()


def test_roles_have_the_passwords_and_rights_that_they_had(home: Home, backup: Path, place: Home) -> None:
    restore(place, EMBEDDED, backup, quiet)
    old, new = read_urls(home), read_urls(place)
    assert [url.rpartition("@")[0] for url in vars_of(new)] == [url.rpartition("@")[0] for url in vars_of(old)]
    with running(place) as urls:
        with closing(PostgresqlLedger(urls.application)) as ledger:
            ledger.append("shop", [Draft("environment.held", {"environment": "x"}, SHIPLINE, LONG_AGO)])
            assert ledger.streams()["shop"][0] == 8
        with (
            psycopg.connect(urls.application) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute("UPDATE entries SET content = 'x'")
        with psycopg.connect(libpq_url(urls.prefect)) as prefect:
            assert prefect.execute("SELECT state FROM flow_run").fetchall() == [("waits",)]
            prefect.execute("DROP TABLE flow_run")


@contextmanager
def running(home: Home) -> Iterator[DatabaseUrls]:
    """A home's embedded server for a while."""
    server = EmbeddedPostgresql(home)
    server.start()
    try:
        yield server.urls
    finally:
        server.stop()


def vars_of(urls: DatabaseUrls) -> list[str]:
    return [urls.admin, urls.owner, urls.application, urls.prefect]


def test_the_rights_that_a_copy_gets_are_those_that_migrations_give(database: Database) -> None:
    with psycopg.connect(database.owner) as connection:
        found = connection.execute(
            "SELECT table_name, string_agg(privilege_type, ', ' ORDER BY privilege_type) "
            "FROM information_schema.role_table_grants WHERE grantee = 'shipline_application' GROUP BY 1"
        ).fetchall()
    assert dict(found) == {table: ", ".join(sorted(rights.split(", "))) for table, rights in APPLICATION_RIGHTS.items()}


def test_a_home_that_holds_anything_is_left_alone(home: Home, backup: Path) -> None:
    before = sorted(path.name for path in home.root.iterdir())
    with pytest.raises(ConfigurationError, match=r"is not empty, it holds artifacts, control\.json, credentials and"):
        restore(home, EMBEDDED, backup, quiet)
    assert sorted(path.name for path in home.root.iterdir()) == before


def test_what_is_no_whole_backup_changes_nothing(backup: Path, place: Home, tmp_path: Path) -> None:
    content = backup.read_bytes()
    half = len(content) // 2
    for name, bad in {
        "cut": content[:-1000],
        "altered": content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :],
        "foreign": b"a letter",
    }.items():
        (tmp_path / name).write_bytes(bad)
        with pytest.raises(ConfigurationError, match=r"damaged|no backup of Shipline"):
            restore(place, EMBEDDED, tmp_path / name, quiet)
    with pytest.raises(ConfigurationError, match="no such file"):
        restore(place, EMBEDDED, tmp_path / "missing", quiet)
    assert not place.root.exists()


@pytest.mark.parametrize(
    ("schema", "platform", "told"),
    [
        ("0999", backing_up.this_platform(), "its database is of schema 0999"),
        ("0004", "plan9-mips", "it was made on plan9-mips"),
    ],
)
def test_a_backup_of_a_newer_shipline_or_another_platform_changes_nothing(
    place: Home, tmp_path: Path, schema: str, platform: str, told: str
) -> None:
    with (tmp_path / "other").open("wb") as stream:
        BackupWriter(stream, replace(header(), schema=schema, platform=platform)).close()
    with pytest.raises(ConfigurationError, match=told):
        restore(place, EMBEDDED, tmp_path / "other", quiet)
    assert not place.root.exists()


def header() -> Header:
    return Header("2026-11-26T04:00:00.0Z", "9.0.0", "0004", None, backing_up.this_platform(), True, {}, {})  # noqa: FBT003


def test_a_restore_that_fails_leaves_the_home_empty(place: Home, tmp_path: Path) -> None:
    """A whole backup without a database in it: nobody makes one, but a disk may fill up as well."""
    with (tmp_path / "hollow").open("wb") as stream:
        BackupWriter(stream, header()).close()
    with pytest.raises((PermanentError, NotFoundError, TransientError)):
        restore(place, EMBEDDED, tmp_path / "hollow", quiet)
    assert [path.name for path in place.root.iterdir()] == ["control.lock"]


def test_a_restore_that_is_killed_is_begun_again(backup: Path, place: Home) -> None:
    environment = {**os.environ, "SHIPLINE_HOME": str(place.root)}
    command = [sys.executable, "-Im", "shipline.cli.main"]
    pid_file = place.restoring / "home" / "postgresql" / "postmaster.pid"
    with subprocess.Popen([*command, "restore", str(backup)], env=environment, stdout=subprocess.DEVNULL) as killed:
        assert processes.wait_until(pid_file.exists, 60)
        killed.send_signal(signal.SIGKILL)
    left = EmbeddedPostgresql(Home(place.restoring / "home")).process_id()
    for words in (["up"], ["project", "list"]):
        told = subprocess.run(
            [*command, *words, "--json"], env=environment, capture_output=True, text=True, check=False
        )
        error = json.loads(told.stdout)["error"]
        assert (told.returncode, "a restore into it has not come to its end" in error["message"]) == (2, True)
        assert error["hint"].startswith("begin it again: shipline restore FILE; or remove ")
    with pytest.raises(ConfigurationError, match="a restore into it has not come to its end"):
        lifecycle.run_in_foreground(place)
    said: list[str] = []
    assert restore(place, EMBEDDED, backup, said.append)["ok"]
    assert "an earlier restore did not come to its end: beginning again" in said
    gone = processes.wait_until(lambda: left is None or not psutil.pid_exists(left), 30)
    assert gone, "nothing of the killed one is left"


def test_a_restore_that_is_killed_while_it_moves_is_finished(
    backup: Path, place: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: object) -> None:
        (place.restoring / "home" / "artifacts").replace(place.root / "artifacts")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "_finish", killed)
        with suppress(KeyboardInterrupt):
            restore(place, EMBEDDED, backup, quiet)
    said: list[str] = []
    assert restore(place, EMBEDDED, backup, said.append)["ok"]
    assert said == ["an earlier restore is put together already: moving it to its place"]
    assert place.artifacts.is_dir()
    assert not place.restoring.exists()


def test_one_restore_at_a_time(backup: Path, place: Home) -> None:
    place.root.mkdir()
    with (
        only_one(place),
        pytest.raises(ConfigurationError, match="somebody is at it already"),
    ):
        restore(place, EMBEDDED, backup, quiet)


def test_prefects_database_is_done_without_where_it_cannot_be_had(
    backup: Path, place: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restored_databases, "version", lambda _: "3.0.0")
    made = restore(place, EMBEDDED, backup, quiet)
    assert (made["ok"], made["notes"]) == (True, ["Prefect's pages begin anew: it is of Prefect 3.8.8, here is 3.0.0"])


def test_a_chain_that_does_not_hold_is_told_and_all_is_there(home: Home, place: Home, tmp_path: Path) -> None:
    copy = Home(tmp_path / "copy")
    shutil.copytree(home.root, copy.root, ignore=shutil.ignore_patterns("postgresql*"))
    next(copy.ledger_segments.glob("shop/*.gz")).write_bytes(b"somebody else's")
    broken = tmp_path / "broken.tar.gz"
    with running(home) as urls:
        shutil.copytree(home.credentials, copy.credentials, dirs_exist_ok=True)
        back_up(copy, replace(EMBEDDED, database_url=urls.admin), broken, force=False, say=quiet)
    made = restore(place, EMBEDDED, broken, quiet)
    assert (made["ok"], [one["sequence"] for one in made["broken"]]) == (False, [1])
    assert (place.root / "postgresql").is_dir()


def test_a_database_of_your_own_is_copied_and_filled_by_the_same_tools(
    backup: Path, place: Home, postgresql_server: PostgresqlServer, tmp_path: Path
) -> None:
    own = replace(EMBEDDED, database_url=postgresql_server.urls.admin, database_name="restored")
    try:
        assert restore(place, own, backup, quiet)["ok"]
        urls = read_urls(place)
        assert (urls.application.partition("//restored_application:")[0], place.postgresql.exists()) == (
            "postgresql:",
            False,
        )
        with closing(PostgresqlLedger(urls.application)) as ledger:
            ledger.append("shop", [Draft("environment.held", {"environment": "x"}, SHIPLINE, LONG_AGO)])
        second = tmp_path / "second.tar.gz"
        assert back_up(place, own, second, force=False, say=quiet).streams["shop"][0] == 8
        elsewhere = Home(tmp_path / "elsewhere")
        with pytest.raises(ConfigurationError, match="its database restored and restored_prefect is not empty"):
            restore(elsewhere, own, second, quiet)
        assert not elsewhere.root.exists()
        assert restore(elsewhere, EMBEDDED, second, quiet)["rows"] == 8, "back into an embedded one"
    finally:
        drop(postgresql_server.urls.admin, Names.on_shared_server("restored"))


def drop(admin_url: str, names: Names) -> None:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        for database in (names.database, names.prefect):
            connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)".encode())
        for role in (names.owner, names.application, names.prefect):
            connection.execute(f"DROP ROLE IF EXISTS {role}".encode())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("monday.tar.gz", "it is there already"),
        ("nowhere/x", "there is no folder"),
        (".", "it is a folder"),
    ],
)
def test_a_backup_is_written_where_there_is_room_for_it(home: Home, tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "monday.tar.gz").write_text("of last week")
    with pytest.raises(ConfigurationError, match=told):
        back_up(home, EMBEDDED, tmp_path / name, force=False, say=quiet)
    with pytest.raises(ConfigurationError, match="it would lie in the home that it is a copy of"):
        back_up(home, EMBEDDED, home.secrets / "x", force=False, say=quiet)
    assert (tmp_path / "monday.tar.gz").read_text() == "of last week"


def test_a_home_in_which_nothing_ever_ran_has_nothing_to_copy(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        back_up(Home(tmp_path / "home"), EMBEDDED, tmp_path / "x", force=False, say=quiet)
    assert list(tmp_path.iterdir()) == []


def test_an_environment_that_changes_all_the_time_is_not_copied_in_between(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter(range(1000))
    monkeypatch.setattr(backing_up, "desired_files", lambda _: {home.root / "x": str(next(looks)).encode()})
    monkeypatch.setattr(backing_up, "_TRIES", 2)
    with pytest.raises(TransientError, match="its environments change all the time"):
        back_up(home, EMBEDDED, tmp_path / "x", force=False, say=quiet)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_is_of_the_moment_and_not_of_what_comes_after(database: Database, tmp_path: Path) -> None:
    urls = DatabaseUrls(database.admin, database.owner, database.application, database.owner)
    with closing(PostgresqlLedger(database.application)) as ledger:
        draft = Draft("environment.held", {"environment": "dev"}, SHIPLINE, LONG_AGO)
        ledger.append("shop", [draft])
        with our_moment(urls) as moment:
            ledger.append("shop", [draft])
            (tmp_path / "dump").write_bytes(b"".join(dump(database.owner, moment.snapshot)))
        assert moment.heads["shop"][0] == 1
        assert ledger.streams()["shop"][0] == 2


def test_what_is_no_dump_is_not_loaded(database: Database, tmp_path: Path) -> None:
    (tmp_path / "dump").write_text("no dump")
    with pytest.raises(PermanentError, match=r"loading a database: .*did not find magic string"):
        load(database.owner, tmp_path / "dump")
    with pytest.raises(PermanentError, match=r"copying a database: .*snapshot"):
        list(dump(database.owner, "no-such"))
