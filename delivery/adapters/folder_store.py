"""Content-addressed blobs and step records as plain files in a folder."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import JsonValue

from delivery.adapters.atomic_file import CHUNK_BYTES, file_digest, new_file, replace_file, writing
from delivery.artifact import Digest, digest_of, parse_digest
from delivery.canonical import canonical_bytes, canonical_digest
from delivery.errors import ConfigurationError
from delivery.ports import Row, Store


class FolderStore:
    """A Store: each blob is a file named by its digest, `sha256/ab/abcdef...`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, content: bytes) -> Digest:
        digest = digest_of(content)
        with writing(f"storing {digest}", self._root):
            if self.open(digest) is None:
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
            if self.open(digest) is None:
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

    def _place(self, digest: Digest) -> Path:
        name = parse_digest(digest).removeprefix("sha256:")
        return self._root / "sha256" / name[:2] / name


class FolderStepCache:
    """A StepCache: a file per step key, sealed with its own digest, beside the store that holds its blobs."""

    def __init__(self, root: Path, store: Store) -> None:
        self._root = root
        self._store = store

    def lookup(self, key: Digest) -> Row | None:
        try:
            record, blobs = _open_record(key, self._place(key).read_bytes())
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, ConfigurationError):
            return None
        return record if all(self._store.open(blob) for blob in blobs) else None

    def record(self, key: Digest, record: Row, blobs: Sequence[Digest]) -> None:
        sealed: dict[str, JsonValue] = {"key": key, "record": dict(record), "blobs": list(blobs)}
        with writing(f"recording step {key}", self._root):
            replace_file(self._place(key), canonical_bytes({**sealed, "seal": canonical_digest(sealed)}))

    def _place(self, key: Digest) -> Path:
        name = parse_digest(key).removeprefix("sha256:")
        return self._root / name[:2] / f"{name}.json"


def _open_record(key: Digest, content: bytes) -> tuple[Row, list[Digest]]:
    """The record and its blobs; raises for anything that was not written so."""
    sealed = json.loads(content)
    seal = sealed.pop("seal")
    if canonical_digest(sealed) != seal or sealed["key"] != key:
        raise ValueError(key)
    return sealed["record"], [parse_digest(blob) for blob in sealed["blobs"]]
