"""Where a secret's value stands in a home: in any file of it, or in any row of its databases."""

import base64
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from delivery.adapters.postgresql.urls import read_urls
from delivery.home import Home

_TABLES = """
SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
"""


def places_with(home: Home, value: str) -> list[str]:
    """Files and tables in which the value stands, as it is or in base64."""
    wanted = (value.encode(), base64.b64encode(value.encode()))
    return [*_files_with(home.root, wanted), *_tables_with(home, wanted)]


def _files_with(root: Path, wanted: tuple[bytes, ...]) -> Iterator[str]:
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            try:
                content = path.read_bytes()
            except OSError:
                continue  # gone meanwhile, or a socket
            if any(one in content for one in wanted):
                yield str(path)


def _tables_with(home: Home, wanted: tuple[bytes, ...]) -> Iterator[str]:
    urls = read_urls(home)
    for url in (urls.owner, urls.prefect.replace("+asyncpg", "").replace("ssl=", "sslmode=")):
        with psycopg.connect(url) as connection:
            tables = connection.execute(_TABLES).fetchall()
            assert tables
            for schema, table in tables:
                copy = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(schema, table))
                with connection.cursor().copy(copy) as rows:
                    content = b"".join(bytes(row) for row in rows)
                if any(one in content for one in wanted):
                    yield f"{schema}.{table}"
