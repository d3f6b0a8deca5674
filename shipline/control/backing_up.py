"""`shipline backup`: a consistent copy of an installation as one file, while it works.

Databases first, as they are at one moment at which no environment changed; then the files, which were written before
what names them. So whatever the copied ledger speaks of is in the copy.
"""

import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import BinaryIO

from delivery.adapters.atomic_file import new_file, writing
from delivery.adapters.backup_reader import check_backup
from delivery.adapters.backup_writer import BackupWriter
from delivery.adapters.embedded_postgresql import EmbeddedPostgresql
from delivery.adapters.home_files import files_of
from delivery.adapters.local.state import desired_files
from delivery.adapters.postgresql.copying import Moment, our_moment, prefect_moment
from delivery.adapters.postgresql.schema_version import version_of
from delivery.adapters.postgresql.urls import DatabaseUrls, read_urls
from delivery.adapters.postgresql_programs import dump
from delivery.backup import DATABASES, FILES, Database, Header
from delivery.errors import ConfigurationError, PermanentError, TransientError
from delivery.home import Home
from delivery.ledger import utc_text
from delivery.ledger_verification import Heads
from shipline.control.lock import held, only_one
from shipline.control.settings import ControlSettings
from shipline.control.state import read_state

_TRIES = 50
_PAUSE_SECONDS = 0.1
_TELL_SECONDS = 10.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup that was written and read back."""

    path: Path
    bytes: int
    content_bytes: int
    seconds: float
    streams: Heads
    projects: tuple[str, ...]
    """Whose secrets are in it."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """The databases at one moment, and the small files that have to fit them."""

    ours: Moment
    prefect: Moment | None
    files: Mapping[Path, bytes]
    """`desired.json` of every environment then, and the ledger's heads as they were published until then."""


def back_up(home: Home, settings: ControlSettings, path: Path, *, force: bool, say: Say) -> BackedUp:
    """Write a backup to a file of our own, whole or not at all.

    ConfigurationError for a place where none may be written, NotFoundError for a home in which nothing ever ran.
    """
    begun = time.monotonic()
    _require_place(home, path, force=force)
    doing = f"writing the backup {path}"
    with _database(home, settings, say) as urls, writing(doing, path.parent), new_file(path.parent) as (stream, move):
        header, content_bytes = _write(home, settings, urls, stream, say)
        _read_back(stream, path)
        say("read back: every file is as it was copied")
        _require_place(home, path, force=force)
        move(path)
    projects = tuple(sorted(one.stem for one in home.secrets.glob("*.json") if not one.name.endswith(".uses.json")))
    seconds = round(time.monotonic() - begun, 3)
    return BackedUp(path, path.stat().st_size, content_bytes, seconds, header.streams, projects)


def _read_back(stream: BinaryIO, path: Path) -> None:
    stream.flush()
    stream.seek(0)
    with open(stream.fileno(), "rb", closefd=False) as written:  # it has no name to keep yet
        try:
            check_backup(written, str(path))
        except ConfigurationError as error:
            raise PermanentError(f"writing the backup {path}: {error.message}", hint="is the disk failing?") from error


def this_platform() -> str:
    """`linux-x86_64`."""
    return f"{sys.platform}-{platform.machine()}"


def shipline_version() -> str:
    """Of this installation; a source tree that is not installed has none."""
    try:
        return version("shipline")
    except PackageNotFoundError:
        return "of a source tree"


def megabytes(size: int) -> str:
    """For people."""
    return f"{size / 1_000_000:.1f} MB"


def _require_place(home: Home, path: Path, *, force: bool) -> None:
    doing = f"writing the backup {path}"
    if not path.parent.is_dir():
        raise ConfigurationError(f"{doing}: there is no folder {path.parent}", hint="make it first")
    if path.resolve().is_relative_to(home.root.resolve()):
        raise ConfigurationError(f"{doing}: it would lie in the home that it is a copy of", hint="name another folder")
    if path.is_dir():
        raise ConfigurationError(f"{doing}: it is a folder", hint="name a file in it")
    if path.exists() and not force:
        raise ConfigurationError(f"{doing}: it is there already", hint="name another file, or replace it with --force")


@contextmanager
def _database(home: Home, settings: ControlSettings, say: Say) -> Iterator[DatabaseUrls]:
    """The database of the control plane that runs; of one that does not, the embedded server is started meanwhile."""
    read_urls(home)
    if held(home):
        yield read_urls(home)
        return
    with only_one(home), ExitStack() as meanwhile:
        server = EmbeddedPostgresql(home)
        if settings.database_url is None and home.postgresql.exists() and server.process_id() is None:
            say("no control plane runs: starting its database for the time being")
            server.prepare()
            meanwhile.callback(server.stop)
            server.start()
        yield read_urls(home)


def _write(home: Home, settings: ControlSettings, urls: DatabaseUrls, stream: BinaryIO, say: Say) -> tuple[Header, int]:
    with _cut(home, urls) as cut:
        header = _header(home, settings, urls, cut)
        writer = BackupWriter(stream, header)
        for name, url, moment in (
            (Database.OURS, urls.owner, cut.ours),
            (Database.PREFECT, urls.prefect, cut.prefect),
        ):
            if moment:
                size = writer.add_pieces(f"{DATABASES}/{name}", dump(url, moment.snapshot))
                say(f"database {name}: {megabytes(size)}")
    _add_files(home, writer, cut, say)
    writer.close()
    return header, writer.content_bytes


def _add_files(home: Home, writer: BackupWriter, cut: _Cut, say: Say) -> None:
    before = (writer.members, writer.content_bytes)
    for path, content in cut.files.items():
        writer.add(_name(home, path), content)
    told = time.monotonic()
    for path in files_of(home, cut.ours.heads):
        writer.add_path(_name(home, path), path)
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            say(f"home: {megabytes(writer.content_bytes - before[1])} so far")
    say(f"home: {writer.members - before[0]} files, {megabytes(writer.content_bytes - before[1])}")


@contextmanager
def _cut(home: Home, urls: DatabaseUrls) -> Iterator[_Cut]:
    """Both databases held still, at a moment around which no environment's desired state changed."""
    for _ in range(_TRIES):
        before, published = desired_files(home), _published(home)
        with our_moment(urls) as ours, prefect_moment(urls) as prefect:
            if desired_files(home) == before:
                yield _Cut(ours, prefect, {**before, **published})
                return
        time.sleep(_PAUSE_SECONDS)
    raise TransientError("copying the home: its environments change all the time", hint="try again after the rollouts")


def _published(home: Home) -> dict[Path, bytes]:
    """Heads that are in the ledger by now, however it grows; a copy of them in the database would prove nothing."""
    place = home.published_heads
    return {place: place.read_bytes()} if place.exists() else {}


def _header(home: Home, settings: ControlSettings, urls: DatabaseUrls, cut: _Cut) -> Header:
    return Header(
        made_at=utc_text(datetime.now(UTC)),
        shipline=shipline_version(),
        schema=version_of(urls.owner) or "",
        prefect=version("prefect") if cut.prefect else None,
        platform=this_platform(),
        embedded=settings.database_url is None and home.postgresql.exists(),
        ports=read_state(home).ports,
        streams=cut.ours.heads,
    )


def _name(home: Home, path: Path) -> str:
    return f"{FILES}/{path.relative_to(home.root)}"
