"""Where the databases are and who may do what there: one URL for each role, kept in the home.

    file                    role                   may
    postgresql-admin        the server's own       everything; only to prepare and to repair
    postgresql-owner        shipline_owner         make and change tables
    postgresql-application  shipline_application   append entries, change projections and operations
    postgresql-prefect      prefect                everything in Prefect's own database

Whoever needs the database reads its URL when it connects, so that the embedded server may move to
another port. Nothing here imports a driver.
"""

import os
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from delivery.errors import NotFoundError
from delivery.home import Home


@dataclass(frozen=True, slots=True)
class Names:
    """Databases and roles of one installation on a server."""

    database: str = "shipline"
    owner: str = "shipline_owner"
    application: str = "shipline_application"
    prefect: str = "prefect"
    """Prefect's database, and the role that owns it."""

    @classmethod
    def on_shared_server(cls, name: str) -> "Names":
        """Names that two installations on one server do not share."""
        return cls(name, f"{name}_owner", f"{name}_application", f"{name}_prefect")


EMBEDDED = Names()


@dataclass(frozen=True, slots=True)
class Passwords:
    """One for each role."""

    owner: str
    application: str
    prefect: str


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """`postgresql://` for every role; for Prefect the form that its SQLAlchemy wants (asyncpg)."""

    admin: str
    owner: str
    application: str
    prefect: str


def urls_of(admin: str, names: Names, passwords: Passwords) -> DatabaseUrls:
    """The URLs of every role on the server that the administrator's URL names."""
    prefect = _with(admin, names.prefect, passwords.prefect, names.prefect)
    return DatabaseUrls(
        admin=admin,
        owner=_with(admin, names.owner, passwords.owner, names.database),
        application=_with(admin, names.application, passwords.application, names.database),
        prefect=prefect.replace("postgresql://", "postgresql+asyncpg://", 1).replace("sslmode=", "ssl="),
    )


def read_urls(home: Home) -> DatabaseUrls:
    """What `write_urls` left; NotFoundError when this home was never prepared."""
    try:
        return DatabaseUrls(**{name: _file(home, name).read_text().strip() for name in _roles()})
    except FileNotFoundError as error:
        raise NotFoundError(
            f"reading the database's address from {home.credentials}: no such file", hint="run `shipline up` first"
        ) from error


def write_urls(home: Home, urls: DatabaseUrls) -> None:
    """Keep the URLs in the home's credentials, each file replaced atomically, for its owner's eyes only."""
    home.credentials.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, url in asdict(urls).items():
        _replace(_file(home, name), url + "\n")


def application_url(home: Home) -> str:
    """What the ledger and the operations tables are reached with; NotFoundError when never prepared."""
    return read_urls(home).application


def password_of(url: str) -> str:
    """A role's password; empty when its URL has none."""
    return unquote(urlsplit(url).password or "")


def passwords_of(urls: DatabaseUrls) -> Passwords:
    """Of every role that is ours."""
    return Passwords(password_of(urls.owner), password_of(urls.application), password_of(urls.prefect))


def libpq_url(url: str) -> str:
    """A URL of any role in the form that PostgreSQL's own programs and driver read."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1).replace("ssl=", "sslmode=")


def with_database(url: str, database: str) -> str:
    """The same server and role, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def at_port(urls: DatabaseUrls, port: int) -> DatabaseUrls:
    """The same roles and databases of an embedded server that moved to another port."""
    return DatabaseUrls(**{name: _at_port(url, port) for name, url in asdict(urls).items()})


def _at_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}"))


def _with(admin: str, role: str, password: str, database: str) -> str:
    parts = urlsplit(admin)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{password}@{place}", path=f"/{database}"))


def _roles() -> tuple[str, ...]:
    return tuple(one.name for one in fields(DatabaseUrls))


def _file(home: Home, role: str) -> Path:
    return home.credentials / f"postgresql-{role}"


def _replace(path: Path, text: str) -> None:
    """The file is 0600 from its first moment: mkstemp makes it so."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(temporary).replace(path)
