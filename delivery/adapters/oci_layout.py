"""Artifacts as an OCI image layout on disk: what `skopeo inspect oci:DIR:NAME` and `oras` read.

An artifact is a manifest with one layer, the packed folder, and the least image configuration there
is (`skopeo inspect` refuses an empty one). What people add stands in `index.json` only, so that the
manifest's digest is the tree's identity: packing one tree gives one digest.
"""

import gzip
import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from filelock import FileLock
from pydantic import JsonValue

from delivery.adapters.atomic_file import file_digest, new_file, replace_file, writing
from delivery.archive import extract_archive, members_below, write_archive
from delivery.artifact import Digest, digest_of, parse_digest
from delivery.canonical import canonical_bytes
from delivery.errors import ConfigurationError, PermanentError

ARTIFACT_TYPE: Final = "application/vnd.shipline.archive.v1"
MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
_CONFIGURATION_TYPE: Final = "application/vnd.oci.image.config.v1+json"
_NAME: Final = "org.opencontainers.image.ref.name"
_TITLE: Final = "org.opencontainers.image.title"
"""The name under which `oras pull` writes the layer; a constant."""
_COMPRESSION: Final = 1
"""Part of the identity: another level (or another deflate implementation) gives other bytes."""


class OciLayoutStore:
    """An ArtifactStore in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def pack(self, folder: Path, annotations: Mapping[str, str]) -> tuple[Digest, int]:
        if not folder.is_dir():
            raise PermanentError(f"packing {folder}: there is no such folder", hint="check the build's output folder")
        with writing(f"packing {folder}", self._root):
            layer, content = self._write_layer(folder)
            configuration = canonical_bytes(_configuration(layer))
            self._write_blob(configuration)
            manifest = canonical_bytes(_manifest(configuration, layer))
            digest = self._write_blob(manifest)
            self._name(_descriptor(MANIFEST_TYPE, digest, len(manifest)), annotations)
        return digest, content

    def unpack(self, digest: Digest, folder: Path) -> None:
        """The folder appears whole or not at all: it is renamed into place."""
        layer = self._layer(digest)
        if folder.exists() and any(folder.iterdir()):
            raise PermanentError(f"unpacking {digest}: {folder} is not empty")
        with writing(f"unpacking {digest}", folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder.parent) as beside:
                staging = Path(beside) / "tree"
                staging.mkdir()
                with gzip.open(layer) as stream:
                    extract_archive(cast("BinaryIO", stream), staging)
                staging.replace(folder)

    def has(self, digest: Digest) -> bool:
        try:
            self._layer(digest)
        except PermanentError:
            return False
        return True

    def _layer(self, digest: Digest) -> Path:
        """The path of an artifact's layer; its digest and that of its manifest have been checked."""
        try:
            manifest = self._blob(digest).read_bytes()
        except FileNotFoundError:
            raise PermanentError(f"reading artifact {digest}: it is not in {self._root}") from None
        if digest_of(manifest) != digest:
            raise PermanentError(f"reading artifact {digest}: its manifest is damaged", hint="build the artifact again")
        try:
            [layer] = json.loads(manifest)["layers"]
            path = self._blob(layer["digest"])
            found = file_digest(path)
        except (ValueError, KeyError, TypeError, ConfigurationError) as error:
            raise PermanentError(f"reading artifact {digest}: it is not an archive of Shipline's") from error
        except FileNotFoundError:
            raise PermanentError(
                f"reading artifact {digest}: its content is missing", hint="build the artifact again"
            ) from None
        if found != layer["digest"]:
            raise PermanentError(f"reading artifact {digest}: its content is damaged", hint="build the artifact again")
        return path

    def _write_layer(self, folder: Path) -> tuple["_Layer", int]:
        """The stored layer, and the bytes of content in it."""
        with new_file(self._blobs) as (stream, move):
            stored = _Hashed(stream)
            with gzip.GzipFile("", "wb", _COMPRESSION, cast("BinaryIO", stored), mtime=0) as packed:
                plain = _Hashed(cast("BinaryIO", packed))
                content = write_archive(folder, members_below(folder), cast("BinaryIO", plain))
            move(self._blob(stored.digest))
        return _Layer(stored.digest, stored.size, plain.digest), content

    def _write_blob(self, content: bytes) -> Digest:
        digest = digest_of(content)
        replace_file(self._blob(digest), content)
        return digest

    def _name(self, descriptor: dict[str, Any], annotations: Mapping[str, str]) -> None:
        """Add an artifact to the index; one name leads to one artifact, the latest."""
        entry = {**descriptor, "artifactType": ARTIFACT_TYPE, "annotations": dict(annotations)}
        with FileLock(self._root / "index.lock"):
            others = [other for other in self._entries() if not _replaces(entry, other)]
            replace_file(self._root / "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            index: dict[str, JsonValue] = {"schemaVersion": 2, "mediaType": _INDEX_TYPE, "manifests": [*others, entry]}
            replace_file(self._root / "index.json", canonical_bytes(index))

    def _entries(self) -> list[dict[str, Any]]:
        index = self._root / "index.json"
        return json.loads(index.read_bytes())["manifests"] if index.exists() else []

    @property
    def _blobs(self) -> Path:
        return self._root / "blobs" / "sha256"

    def _blob(self, digest: Digest) -> Path:
        return self._blobs / parse_digest(digest).removeprefix("sha256:")


class _Hashed:
    """A writer that passes on what is written, and hashes it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, content: bytes, /) -> int:
        self._hash.update(content)
        self.size += len(content)
        return self._stream.write(content)

    @property
    def digest(self) -> Digest:
        return Digest(f"sha256:{self._hash.hexdigest()}")


@dataclass(frozen=True, slots=True)
class _Layer:
    digest: Digest
    size: int
    plain: Digest
    """Of the archive before compression."""


def _configuration(layer: _Layer) -> JsonValue:
    """No machine in it: the same tree packed on another one has the same digest."""
    return {
        "architecture": "unknown",
        "os": "unknown",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer.plain]},
    }


def _manifest(configuration: bytes, layer: _Layer) -> JsonValue:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": _descriptor(_CONFIGURATION_TYPE, digest_of(configuration), len(configuration)),
        "layers": [{**_descriptor(LAYER_TYPE, layer.digest, layer.size), "annotations": {_TITLE: "archive.tar.gz"}}],
    }


def _descriptor(media_type: str, digest: Digest, size: int) -> dict[str, JsonValue]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _replaces(entry: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether an older entry of the index goes: the same artifact told again, or a name that moved on."""
    name, other_name = (one.get("annotations", {}).get(_NAME) for one in (entry, other))
    return (name == other_name and entry["digest"] == other["digest"]) or (name is not None and name == other_name)
