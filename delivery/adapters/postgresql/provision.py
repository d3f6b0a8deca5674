"""A PostgreSQL of one's own (`SHIPLINE_DATABASE_URL`): the same roles and databases as the embedded one's."""

import secrets
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from delivery.adapters.postgresql.engine import Driver, translating
from delivery.adapters.postgresql.urls import DatabaseUrls, Names, Passwords, libpq_url, urls_of
from delivery.errors import ConfigurationError

_HINT = "SHIPLINE_DATABASE_URL must name a role with CREATEDB and CREATEROLE"


def provision(admin_url: str, name: str = "shipline", known: DatabaseUrls | None = None) -> DatabaseUrls:
    """Make roles and databases that are not there; two installations on one server need two names.

    `known` are the URLs that an earlier call gave: when they still open, nothing is changed.
    Otherwise every role gets a new password. ConfigurationError when the URL may not do this.
    """
    if known and known.admin == admin_url and _opens(known):
        return known
    names = Names.on_shared_server(name)
    passwords = Passwords(*(secrets.token_urlsafe(24) for _ in range(3)))
    with translating("preparing the databases"), psycopg.connect(admin_url, autocommit=True) as connection:
        try:
            _make(connection, names, passwords)
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigurationError(f"preparing the databases: {error.diag.message_primary}", hint=_HINT) from error
    return urls_of(admin_url, names, passwords)


def restore_prefect_database(urls: DatabaseUrls) -> None:
    """Make Prefect's database anew, empty, if somebody has dropped it: all it loses are its own pages."""
    prefect = urlsplit(urls.prefect)
    database, owner = prefect.path.removeprefix("/"), str(prefect.username)
    with translating("looking for Prefect's database"), psycopg.connect(urls.admin, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone() is None:
            _make_database(connection, database, owner)


def _make(connection: Driver, names: Names, passwords: Passwords) -> None:
    for role, password in (
        (names.owner, passwords.owner),
        (names.application, passwords.application),
        (names.prefect, passwords.prefect),
    ):
        _make_role(connection, role, password)
    for database, owner in ((names.database, names.owner), (names.prefect, names.prefect)):
        _make_database(connection, database, owner)
    _run(connection, "GRANT CONNECT ON DATABASE {} TO {}", names.database, names.application)


def _make_role(connection: Driver, role: str, password: str) -> None:
    """The password travels and is logged as its SCRAM verifier only."""
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    there = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    verb = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}" if there else "CREATE ROLE {} LOGIN PASSWORD {}")
    connection.execute(verb.format(sql.Identifier(role), sql.Literal(verifier)))


def _make_database(connection: Driver, database: str, owner: str) -> None:
    """One that is there already (a hosted server may offer just that) becomes the owner's."""
    superuser = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if superuser != (True,):  # giving something to a role needs membership in it
        _run(connection, "GRANT {} TO CURRENT_USER", owner)
    found = connection.execute(
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", (database,)
    ).fetchone()
    if found is None:
        _run(connection, "CREATE DATABASE {} OWNER {}", database, owner)
    elif found[0] != owner:
        _run(connection, "ALTER DATABASE {} OWNER TO {}", database, owner)
    _run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", database)


def _run(connection: Driver, statement: LiteralString, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*(sql.Identifier(name) for name in names)))


def _opens(urls: DatabaseUrls) -> bool:
    try:
        for url in (urls.owner, urls.application, urls.prefect):
            psycopg.connect(libpq_url(url), connect_timeout=10).close()
    except psycopg.OperationalError:
        return False
    return True
