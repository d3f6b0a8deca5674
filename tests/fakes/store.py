"""A Store and a StepCache in memory."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from delivery.artifact import Digest, digest_of
from delivery.ports import KeptBlob, KeptResult, Recorded, Row


class InMemoryStore:
    """Blobs in a dictionary; a temporary file only where a path is asked for."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.contents: dict[Digest, bytes] = {}
        self.now = now
        self.used: dict[Digest, datetime] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        """Made by the first `open`; whoever opens closes."""

    def close(self) -> None:
        if self._folder:
            self._folder.cleanup()

    def put(self, content: bytes) -> Digest:
        digest = digest_of(content)
        self.contents[digest] = content
        self.used[digest] = self.now()
        return digest

    def put_file(self, path: Path) -> Digest:
        return self.put(path.read_bytes())

    def get(self, digest: Digest) -> bytes | None:
        content = self.contents.get(digest)
        if content is not None and digest_of(content) != digest:
            del self.contents[digest]
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
        return digest in self.contents

    def blobs(self) -> Iterator[KeptBlob]:
        for digest, content in list(self.contents.items()):
            yield KeptBlob(digest, len(content), self.used[digest])

    def remove(self, digest: Digest, unused_since: datetime) -> bool:
        unused = digest in self.contents and self.used[digest] <= unused_since
        if unused:
            del self.contents[digest]
        return unused


class InMemoryStepCache:
    """Records in a dictionary."""

    def __init__(self, store: InMemoryStore) -> None:
        self._store = store
        self.records: dict[Digest, tuple[Row, tuple[Digest, ...]]] = {}
        self.used: dict[Digest, datetime] = {}

    def lookup(self, key: Digest) -> Row | None:
        record, blobs = self.records.get(key, (None, ()))
        if record is not None:
            self.used[key] = self._store.now()
            self._store.used |= dict.fromkeys(blobs, self._store.now())
        return record if all(self._store.open(blob) for blob in blobs) else None

    def read(self, key: Digest) -> Recorded | None:
        return Recorded(*self.records[key]) if key in self.records else None

    def record(self, key: Digest, record: Row, blobs: Sequence[Digest]) -> None:
        self.records[key] = (dict(record), tuple(blobs))
        self.used[key] = self._store.now()

    def results(self) -> Iterator[KeptResult]:
        for key, (record, blobs) in list(self.records.items()):
            yield KeptResult(key, blobs, len(str(record)), self.used[key])

    def remove(self, key: Digest, unused_since: datetime) -> bool:
        unused = key in self.records and self.used[key] <= unused_since
        if unused:
            del self.records[key]
        return unused
