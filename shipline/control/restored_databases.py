"""The databases of a restore: made, loaded, brought up to date, and the ledger checked before anybody uses it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from delivery.adapters.embedded_postgresql import EmbeddedPostgresql
from delivery.adapters.postgresql.copying import finish_copy
from delivery.adapters.postgresql.ledger import PostgresqlLedger
from delivery.adapters.postgresql.provision import provision
from delivery.adapters.postgresql.schema_version import bring_up_to_date
from delivery.adapters.postgresql.urls import DatabaseUrls, read_urls, write_urls
from delivery.adapters.postgresql_programs import load
from delivery.adapters.published_heads import read_heads
from delivery.adapters.segment_files import SegmentFiles
from delivery.backup import Database, Header, keeps_prefect
from delivery.errors import DeliveryError, PermanentError
from delivery.home import Home
from delivery.ledger_verification import Verification, verify
from shipline.control.backing_up import Say
from shipline.control.settings import ControlSettings


def load_databases(
    home: Home, dumps: Path, settings: ControlSettings, header: Header, say: Say
) -> tuple[Verification, list[str]]:
    """Make and load both databases for a home whose files are laid; what the ledger says, and what could not be had.

    The embedded server runs only meanwhile. PermanentError when our own database cannot be loaded.
    """
    with _server(home, settings, header) as urls:
        load(urls.owner, dumps / Database.OURS)
        finish_copy(urls)
        bring_up_to_date(urls.owner, str(urlsplit(urls.application).username))
        say("database shipline: loaded")
        notes = list(_load_prefect(dumps, urls, header, say))
        verified = _verified(home, urls, header)
    say(f"ledger: {verified.rows} entries in {len(verified.heads)} chains, {'whole' if verified.ok else 'NOT whole'}")
    return verified, notes


@contextmanager
def _server(home: Home, settings: ControlSettings, header: Header) -> Iterator[DatabaseUrls]:
    """Empty databases with their roles: on the server of one's own, else an embedded one with the saved passwords."""
    if settings.database_url:
        urls = provision(settings.database_url, settings.database_name)
        write_urls(home, urls)
        yield urls
        return
    server = EmbeddedPostgresql(home)
    server.prepare(read_urls(home) if header.embedded else None)
    try:
        server.start()
        yield server.urls
    finally:
        server.stop()


def _load_prefect(dumps: Path, urls: DatabaseUrls, header: Header, say: Say) -> Iterator[str]:
    """Prefect's database, if it can be had: without it its pages begin anew, and what waits gets a new flow run."""
    installed = version("prefect")
    if not keeps_prefect(header, installed):
        why = f"it is of Prefect {header.prefect}, here is {installed}" if header.prefect else "it is not in the backup"
        yield f"Prefect's pages begin anew: {why}"
        return
    try:
        load(urls.prefect, dumps / Database.PREFECT)
        say("database prefect: loaded")
    except DeliveryError as error:
        yield f"Prefect's pages begin anew: {error.message}"


def _verified(home: Home, urls: DatabaseUrls, header: Header) -> Verification:
    segments = SegmentFiles(home)
    with closing(PostgresqlLedger(urls.application, segments=segments)) as ledger:
        found = verify(ledger, read_heads(home), segments)
    if found.heads != header.streams:
        raise PermanentError("restoring the ledger: the loaded database does not end where the copied one did")
    return found
