"""Files that are whole or absent: written beside their place, synced, then renamed."""

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from delivery.artifact import Digest
from delivery.errors import TransientError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
CHUNK_BYTES = 1024 * 1024


@contextlib.contextmanager
def writing(what: str, where: Path) -> Iterator[None]:
    """Say in our words what kept a file from being written."""
    try:
        yield
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        if error.errno in _NO_SPACE:
            raise TransientError(f"{what}: {cause}", hint=f"free space where {where} is, then try again") from error
        raise TransientError(f"{what}: {cause}") from error


@contextlib.contextmanager
def new_file(folder: Path) -> Iterator[tuple[BinaryIO, Callable[[Path], None]]]:
    """A file to write in a folder, and what moves it to its place; without the move nothing is left of it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:

            def move(place: Path) -> None:
                stream.flush()
                os.fsync(stream.fileno())
                place.parent.mkdir(parents=True, exist_ok=True)
                Path(name).replace(place)

            yield stream, move
    finally:
        Path(name).unlink(missing_ok=True)


def replace_file(place: Path, content: bytes) -> None:
    """Write a whole small file at once."""
    with new_file(place.parent) as (stream, move):
        stream.write(content)
        move(place)


def file_digest(path: Path) -> Digest:
    """The digest of a file's content, read in chunks."""
    with path.open("rb") as stream:
        return Digest("sha256:" + hashlib.file_digest(stream, "sha256").hexdigest())
