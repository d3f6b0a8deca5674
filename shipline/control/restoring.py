"""`shipline restore`: an installation from a backup, in an empty home.

All of it is put together in one folder below the home and moved to its places at the end, so that a restore which was
killed leaves a home that is as empty as before for whoever begins again, and none that anybody would take for whole.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delivery.adapters.atomic_file import replace_file, writing
from delivery.adapters.backup_reader import Checked, check_backup, lay_backup, read_header
from delivery.adapters.embedded_postgresql import EmbeddedPostgresql
from delivery.adapters.local import unpack_again
from delivery.adapters.oci_layout import OciLayoutStore
from delivery.adapters.postgresql.copying import require_vacant
from delivery.adapters.postgresql.schema_version import NEWEST
from delivery.adapters.postgresql.urls import Names
from delivery.adapters.private_home import close_home
from delivery.backup import DATABASES, FILES, Header, require_fit, streams_document
from delivery.errors import ConfigurationError
from delivery.home import Home
from delivery.ledger_verification import Verification
from shipline.control.backing_up import Say, megabytes, this_platform
from shipline.control.lock import held, only_one
from shipline.control.restored_databases import load_databases
from shipline.control.settings import ControlSettings
from shipline.control.state import ControlState, write_state

_NOTHING = frozenset({"control.lock", "restoring", "lost+found"})
"""What an empty home may have."""
_SHOWN = 3
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a restore puts a home together."""

    home: Home

    @property
    def inner(self) -> Home:
        """The home that it is going to be."""
        return Home(self.home.restoring / FILES)

    @property
    def complete(self) -> Path:
        """What the restore has to tell; there once nothing is left but to move files to their places."""
        return self.home.restoring / "complete.json"

    @property
    def dumps(self) -> Path:
        """Folder with a file for each copied database."""
        return self.home.restoring / DATABASES

    def clear(self) -> None:
        """End and remove what an earlier restore has left."""
        EmbeddedPostgresql(self.inner).stop()
        shutil.rmtree(self.home.restoring, ignore_errors=True)


def restore(home: Home, settings: ControlSettings, path: Path, say: Say) -> Document:
    """Make the home that a backup is a copy of; gives `{path, home, made_at, ok, rows, streams, broken, ...}`.

    ConfigurationError, and nothing is changed, for a home that holds anything and a backup that is not whole, is no
    backup, or does not fit here. Then `ok` is whether the ledger's chains hold.
    """
    begun, place = time.monotonic(), _Place(home)
    found = None
    if not place.complete.exists():
        _require_empty(home)
        found = _check(path, say)
        _require_room(settings)
    with _alone(home):
        if found is None:
            say("an earlier restore is put together already: moving it to its place")
        else:
            _require_empty(home)
            _restore(place, settings, path, found, say)
        return {**_finish(place), "seconds": round(time.monotonic() - begun, 3)}


def _require_empty(home: Home) -> None:
    doing = f"restoring into {home.root}"
    try:
        there = sorted({path.name for path in home.root.iterdir()} - _NOTHING)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(f"{doing}: {(error.strerror or str(error)).lower()}") from error
    if there:
        more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
        raise ConfigurationError(
            f"{doing}: it is not empty, it holds {', '.join(there[:_SHOWN])}{more}",
            hint="name an empty folder, or one that is not there yet: SHIPLINE_HOME",
        )


def _check(path: Path, say: Say) -> Checked:
    """Read all of the backup; ConfigurationError unless it is whole and fits here."""
    try:
        with path.open("rb") as stream:
            require_fit(read_header(stream, str(path)), NEWEST, this_platform())
            say(f"checking {path}")
            stream.seek(0)
            found = check_backup(stream, str(path))
    except OSError as error:
        raise ConfigurationError(f"reading {path}: {(error.strerror or str(error)).lower()}") from error
    said = f"{found.members} files, {megabytes(found.content_bytes)}"
    say(f"whole: {said}, made at {found.header.made_at} by Shipline {found.header.shipline}")
    return found


def _require_room(settings: ControlSettings) -> None:
    if settings.database_url:
        require_vacant(settings.database_url, Names.on_shared_server(settings.database_name))


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    if held(home):
        raise ConfigurationError(f"restoring into {home.root}: somebody is at it already", hint="wait for their end")
    with only_one(home):
        yield


def _restore(place: _Place, settings: ControlSettings, path: Path, found: Checked, say: Say) -> None:
    """Put all of it together; what goes wrong leaves the home empty."""
    if place.home.restoring.exists():
        say("an earlier restore did not come to its end: beginning again")
        place.clear()
    try:
        with writing(f"restoring into {place.home.root}", place.home.root):
            place.inner.root.mkdir(parents=True, mode=0o700)
            with path.open("rb") as stream:
                lay_backup(stream, str(path), place.home.restoring)
        say("files: laid")
        _complete(place, settings, path, found.header, say)
    except BaseException:
        place.clear()
        raise


def _complete(place: _Place, settings: ControlSettings, path: Path, header: Header, say: Say) -> None:
    close_home(place.inner)
    write_state(place.inner, ControlState(ports=header.ports))
    verified, notes = load_databases(place.inner, place.dumps, settings, header, say)
    notes += unpack_again(place.inner, OciLayoutStore(place.inner.artifacts))
    os.sync()
    document = _document(place.home, path, header, verified, notes)
    replace_file(place.complete, json.dumps(document).encode())


def _document(home: Home, path: Path, header: Header, verified: Verification, notes: list[str]) -> Document:
    return {
        "path": str(path),
        "home": str(home.root),
        "made_at": header.made_at,
        "ok": verified.ok,
        "rows": verified.rows,
        "streams": streams_document(verified.heads),
        "broken": [{"stream": one.stream, "sequence": one.sequence, "reason": one.reason} for one in verified.broken],
        "notes": notes,
    }


def _finish(place: _Place) -> Document:
    """Move everything to its place; whoever was killed at it is followed by somebody who goes on."""
    document: Document = json.loads(place.complete.read_bytes())
    for path in sorted(place.inner.root.iterdir()):
        path.replace(place.home.root / path.name)
    done = place.home.restoring.rename(place.home.root / ".restored")  # from now on the home is whole
    shutil.rmtree(done, ignore_errors=True)
    close_home(place.home)
    return document
