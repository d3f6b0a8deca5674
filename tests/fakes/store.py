"""A Store and a StepCache in memory."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from delivery.artifact import Digest, digest_of
from delivery.ports import Row, Store


class InMemoryStore:
    """Blobs in a dictionary; a temporary file only where a path is asked for."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        """Made by the first `open`; whoever opens closes."""

    def close(self) -> None:
        if self._folder:
            self._folder.cleanup()

    def put(self, content: bytes) -> Digest:
        digest = digest_of(content)
        self.blobs[digest] = content
        return digest

    def put_file(self, path: Path) -> Digest:
        return self.put(path.read_bytes())

    def get(self, digest: Digest) -> bytes | None:
        content = self.blobs.get(digest)
        if content is not None and digest_of(content) != digest:
            del self.blobs[digest]
            return None
        return content

    def open(self, digest: Digest) -> Path | None:
        content = self.get(digest)
        if content is None:
            return None
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="fake-store-", ignore_cleanup_errors=True)
        path = Path(self._folder.name) / digest.removeprefix("sha256:")
        path.write_bytes(content)
        return path

    def has(self, digest: Digest) -> bool:
        return digest in self.blobs


class InMemoryStepCache:
    """Records in a dictionary."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.records: dict[Digest, tuple[Row, tuple[Digest, ...]]] = {}

    def lookup(self, key: Digest) -> Row | None:
        record, blobs = self.records.get(key, (None, ()))
        return record if all(self._store.open(blob) for blob in blobs) else None

    def record(self, key: Digest, record: Row, blobs: Sequence[Digest]) -> None:
        self.records[key] = (dict(record), tuple(blobs))
