"""Reading a backup: through to its end, to know that it is whole, and once more to lay its files."""

import gzip
import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from delivery.adapters.atomic_file import CHUNK_BYTES, writing
from delivery.backup import DATABASES, FILES, FOLDER, HEADER, LINK, MANIFEST, Header
from delivery.errors import ConfigurationError

_HEADER_BYTES = 16 * 1024 * 1024
_OWNER_ONLY = 0o700
_HINT = "take another copy of it"
_Member = tuple[tarfile.TarInfo, IO[bytes] | None]


@dataclass(frozen=True, slots=True)
class Checked:
    """A backup that was read through and is whole."""

    header: Header
    members: int
    content_bytes: int


def check_backup(stream: BinaryIO, name: str) -> Checked:
    """Read a backup from begin to end; ConfigurationError when it is none, of a later format, damaged or cut short."""
    reading = _Reading(name)
    with reading.translating(), closing(_members(stream)) as members:
        for entry, content in members:
            reading.take(entry, content)
        return reading.ended()


def read_header(stream: BinaryIO, name: str) -> Header:
    """What a backup says of itself, by its first bytes; ConfigurationError for anything else."""
    reading = _Reading(name)
    with reading.translating(), closing(_members(stream)) as members:
        for entry, content in members:
            reading.take(entry, content)
            break
        return reading.header_of_it()


def lay_backup(stream: BinaryIO, name: str, folder: Path) -> None:
    """Lay the files of a checked backup below an empty folder: `home/...`, and `databases/NAME` as one file each.

    Links come last and folders are closed after that, so that nothing is written through or kept out by them.
    """
    links: list[tuple[Path, str]] = []
    folders: list[tuple[Path, int]] = []
    with writing(f"laying the files of {name}", folder), closing(_members(stream)) as members:
        for entry, content in members:
            place = _place(folder, entry.name)
            if place is None:
                continue
            place.parent.mkdir(parents=True, exist_ok=True, mode=_OWNER_ONLY)
            if content is not None:
                _write(place, entry, content)
            elif entry.isdir():
                place.mkdir(exist_ok=True, mode=_OWNER_ONLY)
                folders.append((place, entry.mode))
            else:
                links.append((place, entry.linkname))
        for place, target in links:
            place.symlink_to(target)
        for place, mode in reversed(folders):
            place.chmod(mode)


def _is_ours(member: str) -> bool:
    """Whether a member has a name that `BackupWriter` gives: none leads out of where it is laid."""
    path = PurePosixPath(member)
    inside = not path.is_absolute() and ".." not in path.parts
    return member == MANIFEST or (inside and path.parts[:1] in {(DATABASES,), (FILES,)} and len(path.parts) > 1)


def _place(folder: Path, member: str) -> Path | None:
    """Where a member goes; None for those that speak of the backup itself."""
    root, *below = PurePosixPath(member).parts
    if root == DATABASES:
        return folder / DATABASES / below[0]
    return folder / member if root == FILES else None


def _write(place: Path, entry: tarfile.TarInfo, content: IO[bytes]) -> None:
    """Pieces of one database follow each other."""
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as file:
        while piece := content.read(CHUNK_BYTES):
            file.write(piece)
    place.chmod(entry.mode)
    os.utime(place, (entry.mtime, entry.mtime))


@dataclass(slots=True)
class _Reading:
    """What was seen of a backup so far."""

    name: str
    header: Header | None = None
    digests: dict[str, str] = field(default_factory=dict)
    manifest: dict[str, str] | None = None
    content_bytes: int = 0

    def take(self, entry: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        if self.header is None:
            self.header = self._header(entry, content)
        elif not _is_ours(entry.name):
            raise self._damaged(f"{entry.name} is no part of one")
        elif self.manifest is not None or entry.name in self.digests:
            raise self._damaged(f"{entry.name} stands where nothing should")
        elif entry.name == MANIFEST and content:
            self.manifest = dict(json.loads(content.read()))
        else:
            self.digests[entry.name] = self._digest(entry, content)

    def header_of_it(self) -> Header:
        if self.header is None:
            raise self._none()
        return self.header

    def ended(self) -> Checked:
        header = self.header_of_it()
        if self.manifest is None:
            raise self._damaged("it is cut short")
        if self.manifest != self.digests:
            raise self._damaged("its content is not what was written")
        return Checked(header, len(self.digests), self.content_bytes)

    @contextmanager
    def translating(self) -> Iterator[None]:
        try:
            yield
        except (tarfile.TarError, EOFError, ValueError, OSError, zlib.error) as error:
            if self.header is None:
                raise self._none() from error
            raise self._damaged(str(error).lower() or "it is cut short") from error

    def _header(self, entry: tarfile.TarInfo, content: IO[bytes] | None) -> Header:
        if entry.name != HEADER or content is None or entry.size > _HEADER_BYTES:
            raise self._none()
        text = content.read()
        self.digests[entry.name] = f"sha256:{hashlib.sha256(text).hexdigest()}"
        try:
            return Header.read(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._none() from error

    def _digest(self, entry: tarfile.TarInfo, content: IO[bytes] | None) -> str:
        if entry.issym():
            return LINK + entry.linkname
        if entry.isdir():
            return FOLDER
        if content is None:
            raise self._damaged(f"{entry.name} is neither a file, a folder nor a link")
        hashed = hashlib.sha256()
        while piece := content.read(CHUNK_BYTES):
            hashed.update(piece)
            self.content_bytes += len(piece)
        return f"sha256:{hashed.hexdigest()}"

    def _none(self) -> ConfigurationError:
        message = f"reading {self.name}: it is no backup of Shipline"
        return ConfigurationError(message, hint="give a file that `shipline backup` wrote")

    def _damaged(self, how: str) -> ConfigurationError:
        return ConfigurationError(f"reading {self.name}: the backup is damaged: {how}", hint=_HINT)


def _members(stream: BinaryIO) -> Generator[_Member]:
    """Every member with its content, then nothing more: what follows a damaged place is damaged too."""
    with (
        gzip.open(stream) as packed,
        tarfile.open(
            fileobj=packed, mode="r|", bufsize=CHUNK_BYTES, encoding="utf-8", errors="surrogateescape"
        ) as archive,
    ):
        for entry in archive:
            yield entry, archive.extractfile(entry) if entry.isreg() else None
        while packed.read(CHUNK_BYTES):
            pass
