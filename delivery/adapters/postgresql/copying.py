"""What copying a database takes besides `pg_dump`: a moment of it that stays, and rights in the copy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import IsolationLevel, sql

from delivery.adapters.postgresql.engine import Driver, translating
from delivery.adapters.postgresql.urls import DatabaseUrls, Names, libpq_url, with_database
from delivery.artifact import Digest
from delivery.errors import ConfigurationError
from delivery.ledger_verification import Heads

APPLICATION_RIGHTS: dict[str, LiteralString] = {
    "entries": "SELECT, INSERT",
    "heads": "SELECT, INSERT, UPDATE",
    "projections": "SELECT, INSERT, UPDATE, DELETE",
    "documents": "SELECT, INSERT, UPDATE, DELETE",
    "leases": "SELECT, INSERT, UPDATE, DELETE",
    "claims": "SELECT, INSERT, DELETE",
    "queue": "SELECT, INSERT, UPDATE, DELETE",
    "schema_versions": "SELECT",
}
"""As all migrations together give them. A copy carries none, because its roles may have other names."""
_CONNECT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Moment:
    """A database as it was at one moment, for as long as the connection lives that this came from."""

    snapshot: str
    """For `pg_dump --snapshot`."""
    heads: Heads
    """Of the ledger; empty for Prefect's database."""


@contextmanager
def our_moment(urls: DatabaseUrls) -> Iterator[Moment]:
    """Our own database now, with its heads."""
    doing = "copying the database"
    with translating(doing), _still(urls.owner) as connection:
        rows = connection.execute("SELECT stream, sequence, digest FROM heads").fetchall()
        yield Moment(_exported(connection), {stream: (sequence, Digest(digest)) for stream, sequence, digest in rows})


@contextmanager
def prefect_moment(urls: DatabaseUrls) -> Iterator[Moment | None]:
    """Prefect's database now; None when somebody has dropped it, and all that is lost are its pages."""
    url = libpq_url(urls.prefect)
    with translating("copying Prefect's database"):
        if not has_database(urls.admin, urlsplit(url).path.removeprefix("/")):
            yield None
            return
        with _still(url) as connection:
            yield Moment(_exported(connection), {})


def has_database(admin_url: str, name: str) -> bool:
    """Whether the server has a database of that name."""
    with psycopg.connect(admin_url, autocommit=True, connect_timeout=_CONNECT_SECONDS) as connection:
        return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None


def require_vacant(admin_url: str, names: Names) -> None:
    """ConfigurationError when a server of one's own has tables in one of the databases: nothing is written over."""
    with translating("looking for databases"):
        taken = [name for name in (names.database, names.prefect) if _has_tables(admin_url, name)]
    if taken:
        raise ConfigurationError(
            f"restoring into the server of SHIPLINE_DATABASE_URL: its database {' and '.join(taken)} is not empty",
            hint="drop what an interrupted restore left there, or name another one: SHIPLINE_DATABASE_NAME",
        )


def _has_tables(admin_url: str, name: str) -> bool:
    if not has_database(admin_url, name):
        return False
    with psycopg.connect(with_database(admin_url, name), connect_timeout=_CONNECT_SECONDS) as connection:
        return connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public' LIMIT 1").fetchone() is not None


def finish_copy(urls: DatabaseUrls) -> None:
    """Give the application's role its rights in our restored database, and the planner what it goes by."""
    role = sql.Identifier(str(urlsplit(urls.application).username))
    with translating("preparing the restored database"), psycopg.connect(urls.owner, autocommit=True) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role))
        for name in APPLICATION_RIGHTS.keys() & {name for (name,) in found}:
            grant = sql.SQL("GRANT {} ON {} TO {}")
            connection.execute(grant.format(sql.SQL(APPLICATION_RIGHTS[name]), sql.Identifier(name), role))
        connection.execute("ANALYZE")


@contextmanager
def _still(url: str) -> Iterator[Driver]:
    """A connection that sees one moment and changes nothing."""
    with psycopg.connect(url, connect_timeout=_CONNECT_SECONDS) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield connection


def _exported(connection: Driver) -> str:
    found = connection.execute("SELECT pg_export_snapshot()").fetchone()
    return str(found[0]) if found else ""
