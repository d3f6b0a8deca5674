"""An ArtifactStore in memory."""

import io
from collections.abc import Mapping
from pathlib import Path

from delivery.archive import extract_archive, members_below, write_archive
from delivery.artifact import Digest, digest_of
from delivery.errors import PermanentError


class InMemoryArtifactStore:
    """Archives in a dictionary."""

    def __init__(self) -> None:
        self.archives: dict[Digest, bytes] = {}
        self.annotations: dict[Digest, Mapping[str, str]] = {}

    def pack(self, folder: Path, annotations: Mapping[str, str]) -> tuple[Digest, int]:
        if not folder.is_dir():
            raise PermanentError(f"packing {folder}: there is no such folder")
        packed = io.BytesIO()
        size = write_archive(folder, members_below(folder), packed)
        digest = digest_of(packed.getvalue())
        self.archives[digest] = packed.getvalue()
        self.annotations[digest] = dict(annotations)
        return digest, size

    def unpack(self, digest: Digest, folder: Path) -> None:
        archive = self.archives.get(digest)
        if archive is None or digest_of(archive) != digest:
            raise PermanentError(f"reading artifact {digest}: it is missing or damaged")
        if folder.exists() and any(folder.iterdir()):
            raise PermanentError(f"unpacking {digest}: {folder} is not empty")
        folder.mkdir(parents=True, exist_ok=True)
        extract_archive(io.BytesIO(archive), folder)

    def has(self, digest: Digest) -> bool:
        return digest_of(self.archives.get(digest, b"")) == digest
