"""What a backup of a home is made of, and whether it fits a machine. Nothing here touches the disk.

A backup is a tar archive, in this order:

    backup.json               the header
    databases/NAME/000000     a database as `pg_dump --format=custom` writes it, in pieces
    home/...                  files of the home
    manifest.json             the digest of every member before it
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from delivery.artifact import Digest, parse_digest
from delivery.errors import ConfigurationError
from delivery.ledger_verification import Heads

FORMAT = 1
HEADER, MANIFEST, DATABASES, FILES = "backup.json", "manifest.json", "databases", "home"
LINK, FOLDER = "link:", "folder"
"""What the manifest has, in place of a digest, for a link (with its target) and for a folder."""
ROOTS = ("credentials", "secrets", "steps", "store", "artifacts", "sources", "environments", "logs")
"""Folders of a home in the order of copying: what names a blob was written after it, so it is copied before it.

Closed segments of the ledger and published heads are not among them: they have to fit the copied database.
"""
_MIRROR_ORDER = {"refs": 0, "objects": 3}
_FILES, _FOLDERS = 1, 2
_DEPTH = 2
"""Folders below `environments` and `groups` that are names: PROJECT/ENVIRONMENT, groups/GROUP."""


class Database(StrEnum):
    """The databases of an installation, by the name that a backup gives them."""

    OURS = "shipline"
    PREFECT = "prefect"


@dataclass(frozen=True, slots=True)
class Header:
    """What a backup says of itself."""

    made_at: str
    shipline: str
    """Version of the Shipline that made it."""
    schema: str
    """The last step of our database's migrations."""
    prefect: str | None
    """Version of the Prefect whose database is in it; None without that database."""
    platform: str
    embedded: bool
    """Whether the database was the embedded one, so that its credentials open a new one too."""
    ports: Mapping[str, int]
    """Where the control plane listened, by `api` and `prefect`."""
    streams: Heads
    """Of the ledger, as they are in the copied database."""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"format": FORMAT, **asdict(self), "streams": streams_document(self.streams)}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Header":
        """From JSON; ConfigurationError for a format of a later version, ValueError and KeyError for no header."""
        if document["format"] > FORMAT:
            raise ConfigurationError(
                f"reading a backup of Shipline {document.get('shipline')}: this version does not know its format",
                hint=f"restore it with Shipline {document.get('shipline')} or newer",
            )
        names = ("made_at", "shipline", "schema", "prefect", "platform", "embedded", "ports")
        heads = {name: (int(one["sequence"]), parse_digest(one["digest"])) for name, one in document["streams"].items()}
        return cls(**{name: document[name] for name in names}, streams=heads)


def streams_document(heads: Heads) -> dict[str, dict[str, int | Digest]]:
    """`{stream: {sequence, digest}}`."""
    return {stream: {"sequence": head[0], "digest": head[1]} for stream, head in sorted(heads.items())}


def require_fit(header: Header, schema: str, platform: str) -> None:
    """ConfigurationError for a backup that this Shipline, whose newest schema is given, cannot restore here."""
    doing = f"restoring a backup of {header.made_at}"
    if header.schema > schema:
        raise ConfigurationError(
            f"{doing}: its database is of schema {header.schema}, this Shipline knows {schema}",
            hint=f"install the Shipline that made it, {header.shipline}, or a newer one",
        )
    if header.platform != platform:
        raise ConfigurationError(
            f"{doing}: it was made on {header.platform}, this machine is {platform}",
            hint="restore it on a machine of that platform: what it deploys was built for it",
        )


def keeps_prefect(header: Header, installed: str) -> bool:
    """Whether an installed Prefect can go on with the copied database: it knows its own steps and earlier ones."""
    return header.prefect is not None and _numbers(header.prefect) <= _numbers(installed)


def belongs(path: PurePosixPath, *, folder: bool) -> bool:
    """Whether a file or folder, relative to the home and below one of `ROOTS`, is copied with all that it holds.

    What is made anew is left out: locks, half-written files, unpacked artifacts, routes, what was seen running.
    """
    if path.parts[0] == "environments" and len(path.parts) > 1:
        return _belongs_to_environment(path.parts[1:], folder=folder)
    return _is_lasting(path.name) and not (path.parts[0] == "sources" and path.name.startswith("tmp_"))


def _belongs_to_environment(parts: tuple[str, ...], *, folder: bool) -> bool:
    """Beside each environment's logs only what its services keep in their HOME; `desired.json` goes with the ledger."""
    inner = parts[_DEPTH:]
    if inner[:1] == ("groups",):
        inner = inner[_DEPTH:]
    if not inner:
        return folder
    if inner[0] == "private":
        return inner[2:3] in {(), ("home",)}
    return inner[0] == "logs" and _is_lasting(parts[-1])


def _is_lasting(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(".lock")


def turn(name: str, *, folder: bool) -> tuple[int, str]:
    """The order within a folder: files name what folders hold, and a git mirror's refs name its objects.

    Loose refs come before the file that git packs them into, so that one which moves meanwhile is met once at least.
    """
    usual = _FOLDERS if folder else _FILES
    return (_MIRROR_ORDER.get(name, usual) if folder else usual, name)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
