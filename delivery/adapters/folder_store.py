"""Content-addressed blobs and step records as plain files in a folder."""

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from delivery.adapters.atomic_file import CHUNK_BYTES, file_digest, new_file, replace_file, writing
from delivery.artifact import Digest, digest_of, parse_digest
from delivery.caching.sealing import seal, unseal
from delivery.ports import KeptBlob, KeptResult, Recorded, Row

_HEX = re.compile(r"[0-9a-f]{64}")


class FolderStore:
    """A Store: each blob is a file named by its digest, `sha256/ab/abcdef...`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, content: bytes) -> Digest:
        digest = digest_of(content)
        with writing(f"storing {digest}", self._root):
            if not self.use(digest):
                replace_file(self._place(digest), content)
        return digest

    def put_file(self, path: Path) -> Digest:
        with (
            writing(f"storing {path.name}", self._root),
            path.open("rb") as source,
            new_file(self._root) as (stream, move),
        ):
            hashed = hashlib.sha256()
            while chunk := source.read(CHUNK_BYTES):
                hashed.update(chunk)
                stream.write(chunk)
            digest = Digest(f"sha256:{hashed.hexdigest()}")
            if not self.use(digest):
                move(self._place(digest))
        return digest

    def get(self, digest: Digest) -> bytes | None:
        try:
            content = self._place(digest).read_bytes()
        except FileNotFoundError:
            return None
        if digest_of(content) == digest:
            return content
        self._place(digest).unlink(missing_ok=True)
        return None

    def open(self, digest: Digest) -> Path | None:
        place = self._place(digest)
        try:
            whole = file_digest(place) == digest
        except FileNotFoundError:
            return None
        if whole:
            return place
        place.unlink(missing_ok=True)
        return None

    def has(self, digest: Digest) -> bool:
        return self._place(digest).is_file()

    def use(self, digest: Digest) -> bool:
        """Whether the blob is there whole; it counts as used just now."""
        with _locked(self._root, fcntl.LOCK_SH):
            place = self.open(digest)
            if place is not None:
                os.utime(place)
        return place is not None

    def blobs(self) -> Iterator[KeptBlob]:
        for place in self._root.glob("sha256/*/*"):
            if (status := _status(place)) and _HEX.fullmatch(place.name):
                yield KeptBlob(Digest(f"sha256:{place.name}"), status.st_size, _moment(status.st_mtime))

    def remove(self, digest: Digest, unused_since: datetime) -> bool:
        return _removed(self._place(digest), self._root, unused_since)

    def _place(self, digest: Digest) -> Path:
        name = parse_digest(digest).removeprefix("sha256:")
        return self._root / "sha256" / name[:2] / name


class FolderStepCache:
    """A StepCache: a file per step key, sealed with its own digest, beside the store that holds its blobs."""

    def __init__(self, root: Path, store: FolderStore) -> None:
        self._root = root
        self._store = store

    def lookup(self, key: Digest) -> Row | None:
        with _locked(self._root, fcntl.LOCK_SH):
            found = self.read(key)
            if found is None:
                return None
            os.utime(self._place(key))
        return found.record if all(self._store.use(blob) for blob in found.blobs) else None

    def read(self, key: Digest) -> Recorded | None:
        try:
            return unseal(key, self._place(key).read_bytes())
        except FileNotFoundError:
            return None

    def record(self, key: Digest, record: Row, blobs: Sequence[Digest]) -> None:
        with writing(f"recording step {key}", self._root):
            replace_file(self._place(key), seal(key, record, blobs))

    def results(self) -> Iterator[KeptResult]:
        for place in self._root.glob("*/*.json"):
            status = _status(place)
            if not status or not _HEX.fullmatch(place.stem):
                continue
            key = Digest(f"sha256:{place.stem}")
            found = self.read(key)
            blobs = found.blobs if found else ()
            yield KeptResult(key, blobs, status.st_size, _moment(status.st_mtime))

    def remove(self, key: Digest, unused_since: datetime) -> bool:
        return _removed(self._place(key), self._root, unused_since)

    def _place(self, key: Digest) -> Path:
        name = parse_digest(key).removeprefix("sha256:")
        return self._root / name[:2] / f"{name}.json"


@contextlib.contextmanager
def _locked(root: Path, how: int) -> Iterator[None]:
    """Held shared by whoever finds a file and counts on it, alone by whoever takes one away."""
    root.mkdir(parents=True, exist_ok=True)
    folder = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(folder, how)
        yield
    finally:
        os.close(folder)


def _removed(place: Path, root: Path, unused_since: datetime) -> bool:
    """Take a file away unless it was used since then: whoever found it before has changed its time."""
    with _locked(root, fcntl.LOCK_EX):
        status = _status(place)
        if status is None or _moment(status.st_mtime) > unused_since:
            return False
        place.unlink()
        return True


def _status(place: Path) -> os.stat_result | None:
    try:
        return place.stat()
    except FileNotFoundError:  # removed since the folder was listed
        return None


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
