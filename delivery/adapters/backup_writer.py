"""Writing a backup: a gzipped tar archive that says what it is first, and last the digest of every member."""

import hashlib
import io
import json
import os
import stat
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, BinaryIO, cast

from delivery.adapters.atomic_file import CHUNK_BYTES
from delivery.adapters.gzip_members import GzipMembers
from delivery.backup import FOLDER, HEADER, LINK, MANIFEST, Header

_PRIVATE = 0o600
_SAMPLE_BYTES = 65_536


class BackupWriter:
    """Writes one backup, member by member, to a stream; `close` ends it with its manifest."""

    def __init__(self, stream: BinaryIO, header: Header) -> None:
        self._packed = GzipMembers(stream)
        self._archive = tarfile.open(  # noqa: SIM115  # closed by `close`
            fileobj=cast("IO[bytes]", self._packed),
            mode="w",
            format=tarfile.PAX_FORMAT,
            encoding="utf-8",
            errors="surrogateescape",
        )
        self._archive.copybufsize = CHUNK_BYTES  # type: ignore[attr-defined]  # an argument that typeshed misses
        self._digests: dict[str, str] = {}
        self.content_bytes = 0
        self.add(HEADER, json.dumps(header.document(), indent=1).encode())

    @property
    def members(self) -> int:
        """How many there are so far."""
        return len(self._digests)

    def add(self, name: str, content: bytes) -> None:
        """A file of ours, for its owner only."""
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = len(content), _PRIVATE, int(time.time())
        self._add(entry, io.BytesIO(content))

    def add_pieces(self, name: str, pieces: Iterable[bytes]) -> int:
        """A long stream whose length nobody knows before: a numbered member for each piece. Gives its bytes."""
        size = 0
        for number, piece in enumerate(pieces):
            self.add(f"{name}/{number:06d}", piece)
            size += len(piece)
        return size

    def add_path(self, name: str, path: Path) -> None:
        """A file, folder or link as it is now; one that has gone since, and a pipe or socket, is left out."""
        try:
            found = path.lstat()
            entry = tarfile.TarInfo(name)
            entry.mode, entry.mtime = stat.S_IMODE(found.st_mode), found.st_mtime
            if stat.S_ISREG(found.st_mode):
                with path.open("rb") as content:
                    entry.size = os.fstat(content.fileno()).st_size
                    self._add(entry, content)
            elif stat.S_ISDIR(found.st_mode):
                entry.type = tarfile.DIRTYPE
                self._note(entry, FOLDER)
            elif stat.S_ISLNK(found.st_mode):
                entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
                self._note(entry, LINK + entry.linkname)
        except FileNotFoundError:
            return

    def close(self) -> None:
        """Write the manifest and the end."""
        self.add(MANIFEST, json.dumps(self._digests).encode())
        self._archive.close()
        self._packed.close()

    def _add(self, entry: tarfile.TarInfo, content: IO[bytes]) -> None:
        measured = _Measured(content, entry.size)
        self._packed.suit(measured.sample())
        self._archive.addfile(entry, cast("IO[bytes]", measured))
        self.content_bytes += entry.size
        self._digests[entry.name] = measured.digest

    def _note(self, entry: tarfile.TarInfo, what: str) -> None:
        self._archive.addfile(entry)
        self._digests[entry.name] = what


class _Measured:
    """Reads exactly so many bytes, and hashes them: a log may grow meanwhile, or be cut by its rotation."""

    def __init__(self, content: IO[bytes], size: int) -> None:
        self._content, self._left = content, size
        self._hash = hashlib.sha256()
        self._ahead = b""

    def sample(self) -> bytes:
        """How it begins; what is read later begins there all the same."""
        self._ahead = self._content.read(min(self._left, _SAMPLE_BYTES))
        return self._ahead

    def read(self, count: int) -> bytes:
        """As a file's; zeros where it was cut."""
        wanted = min(count, self._left)
        piece = self._ahead[:wanted]
        self._ahead = self._ahead[wanted:]
        piece += self._content.read(wanted - len(piece))
        piece = piece.ljust(wanted, b"\0")
        self._left -= wanted
        self._hash.update(piece)
        return piece

    @property
    def digest(self) -> str:
        """Of what was read."""
        return f"sha256:{self._hash.hexdigest()}"
