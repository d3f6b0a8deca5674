"""Folders as reproducible tar archives: the same tree gives the same bytes, and unpacking cannot leave its folder.

What two checkouts of one tree may differ in stays out: order, owner, times, umask. What remains is
path, content, whether a file can be executed, and symbolic links. Names are bytes, and stand in an archive
as what they mean in UTF-8, whatever the locale takes them for.
"""

import os
import stat
import tarfile
import time
from collections.abc import Iterable
from copy import copy
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from delivery.errors import PermanentError

MAXIMUM_BYTES = 20 * 1024**3
"""Unpacked content beyond which an archive is taken for an attack."""
_NO_UTF8: Final = "surrogateescape"
"""What becomes of bytes in a name that are no UTF-8: they are kept."""


def write_archive(root: Path, members: Iterable[Path], stream: BinaryIO) -> int:
    """Pack files, folders and links under a root; gives the bytes of content packed.

    PermanentError for a device, pipe or socket, and for a link that leads out of the root.
    """
    size = 0
    with tarfile.open(
        fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8", errors=_NO_UTF8
    ) as archive:
        for path in sorted(set(members), key=lambda path: os.fsencode(path.relative_to(root))):
            entry = _entry(root, path)
            if entry.isreg():
                size += entry.size
                with path.open("rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)
    return size


def members_below(folder: Path) -> list[Path]:
    """Everything in a folder, at any depth; links are not followed."""
    found: list[Path] = []
    for at, folders, files in os.walk(folder):
        found += [Path(at, name) for name in (*folders, *files)]
    return found


def extract_archive(stream: BinaryIO, folder: Path, maximum_bytes: int = MAXIMUM_BYTES) -> None:
    """Unpack into a folder; PermanentError for an archive that is damaged, too big, or reaches outside."""
    left = maximum_bytes
    try:
        with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors=_NO_UTF8) as archive:
            archive.extraction_filter = _checked_already
            for entry in archive:
                left -= entry.size
                if left < 0:
                    raise PermanentError(f"unpacking an archive: its content is larger than {maximum_bytes} bytes")
                archive.extract(_as_packed(entry, folder), folder, numeric_owner=True)
    except (tarfile.TarError, EOFError) as error:
        raise PermanentError(f"unpacking an archive: {error}") from error


def _entry(root: Path, path: Path) -> tarfile.TarInfo:
    found = path.lstat()
    entry = tarfile.TarInfo(_archived(path.relative_to(root)))
    if stat.S_ISREG(found.st_mode):
        entry.size = found.st_size
        entry.mode = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
    elif stat.S_ISDIR(found.st_mode):
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    elif stat.S_ISLNK(found.st_mode):
        entry.type, entry.mode, entry.linkname = tarfile.SYMTYPE, 0o777, _archived(_safe_link(root, path))
    else:
        raise PermanentError(f"packing {entry.name}: it is neither a file, a folder nor a link")
    return entry


def _safe_link(root: Path, path: Path) -> str:
    """Where a link leads, when it stays inside: by its text, and through the links on its way."""
    target = str(path.readlink())
    outside = target.startswith("/") or not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
    depth = len(path.relative_to(root).parts) - 1
    for part in PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        outside = outside or depth < 0
    if outside:
        raise PermanentError(
            f"packing {path.relative_to(root)}: the link leads out of the folder, to '{target}'",
            hint="an archive must hold all that it needs: copy the file, or link relatively",
        )
    return target


def _as_packed(entry: tarfile.TarInfo, folder: Path) -> tarfile.TarInfo:
    """What `write_archive` could have packed, as our own files of now: tools take 1970 for a mistake.

    PermanentError for anything else. Python's own filter does as much, but only from 3.11.4 on.
    """
    named = copy(entry)
    named.name, named.linkname = _local(entry.name), _local(entry.linkname)
    _require_inside(named, folder)
    if not (named.isreg() or named.isdir() or named.issym()):
        raise PermanentError(f"unpacking {named.name}: it is neither a file, a folder nor a link")
    named.mode = 0o755 if named.isdir() or named.mode & stat.S_IXUSR else 0o644
    named.uid, named.gid, named.mtime = os.getuid(), os.getgid(), int(time.time())
    return named


def _require_inside(entry: tarfile.TarInfo, folder: Path) -> None:
    """PermanentError for a name that leads out of the folder, by its text or through links, and for such a link."""
    inside, name = os.path.realpath(folder), PurePosixPath(entry.name)
    at = os.path.realpath(Path(folder, name.parent if entry.issym() else name))
    if name.is_absolute() or ".." in name.parts or not Path(at).is_relative_to(inside):
        raise PermanentError(f"unpacking {entry.name}: it leads out of the folder")
    if entry.issym():
        target = os.path.realpath(Path(at, entry.linkname))
        if entry.linkname.startswith("/") or not Path(target).is_relative_to(inside):
            raise PermanentError(f"unpacking {entry.name}: the link leads out of the folder, to '{entry.linkname}'")


def _checked_already(entry: tarfile.TarInfo, _folder: str) -> tarfile.TarInfo:
    return entry


def _archived(name: Path | str) -> str:
    return os.fsencode(name).decode("utf-8", _NO_UTF8)


def _local(name: str) -> str:
    return os.fsdecode(name.encode("utf-8", _NO_UTF8))
