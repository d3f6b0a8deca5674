"""A step's record as bytes, sealed with its own digest, so that what was cut or edited is no record. Pure."""

import json
from collections.abc import Sequence

from pydantic import JsonValue

from delivery.artifact import Digest, parse_digest
from delivery.canonical import canonical_bytes, canonical_digest
from delivery.errors import ConfigurationError
from delivery.ports import Recorded, Row


def seal(key: Digest, record: Row, blobs: Sequence[Digest]) -> bytes:
    """The record and the blobs that it names."""
    sealed: dict[str, JsonValue] = {"key": key, "record": dict(record), "blobs": list(blobs)}
    return canonical_bytes({**sealed, "seal": canonical_digest(sealed)})


def unseal(key: Digest, content: bytes) -> Recorded | None:
    """What was sealed under that key; None for anything else."""
    try:
        sealed = json.loads(content)
        told = sealed.pop("seal")
        if canonical_digest(sealed) != told or sealed["key"] != key:
            return None
        return Recorded(dict(sealed["record"]), tuple(parse_digest(blob) for blob in sealed["blobs"]))
    except (ValueError, KeyError, TypeError, AttributeError, ConfigurationError):
        return None
