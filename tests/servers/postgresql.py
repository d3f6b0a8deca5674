"""One real PostgreSQL for a whole test session, and a fresh migrated database for each test."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg

from delivery.adapters.embedded_postgresql import EmbeddedPostgresql
from delivery.adapters.postgresql.migration import migrate
from delivery.adapters.postgresql.urls import EMBEDDED, DatabaseUrls, with_database
from delivery.home import Home

_TEMPLATE = EMBEDDED.database
_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database of its own, by role; `admin` is PostgreSQL's superuser there."""

    name: str
    admin: str
    owner: str
    application: str


@dataclass(frozen=True, slots=True)
class PostgresqlServer:
    """A running server whose template database is migrated."""

    embedded: EmbeddedPostgresql

    @property
    def urls(self) -> DatabaseUrls:
        return self.embedded.urls

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Made from the template, and dropped with whatever is still connected."""
        name = f"test_{next(_NUMBERS)}"
        with psycopg.connect(self.urls.admin, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} OWNER {EMBEDDED.owner}".encode())
            try:
                urls = self.urls
                yield Database(
                    name,
                    with_database(urls.admin, name),
                    with_database(urls.owner, name),
                    with_database(urls.application, name),
                )
            finally:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def running_postgresql() -> Iterator[PostgresqlServer]:
    """Started in a folder of its own, on a free port; gone on leaving."""
    with tempfile.TemporaryDirectory(prefix="shipline-postgresql-") as folder:
        # what a crash of the machine would lose is no matter here, and fsync is half of a test's time
        server = EmbeddedPostgresql(Home(Path(folder) / "home"), settings={"fsync": "off", "full_page_writes": "off"})
        server.prepare()
        server.start()
        try:
            migrate(server.urls.owner)
            yield PostgresqlServer(server)
        finally:
            server.stop()
