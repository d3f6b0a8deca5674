"""Artifacts: immutable content known by its digest."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, NewType

from delivery.errors import ConfigurationError

Digest = NewType("Digest", str)
"""`sha256:` and 64 lower-case hex digits; the only identity of content."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def parse_digest(text: str) -> Digest:
    """Return the text as a digest, or raise ConfigurationError."""
    if not _DIGEST.fullmatch(text):
        raise ConfigurationError(f"digest must be 'sha256:' and 64 hex digits, got '{text}'")
    return Digest(text)


def is_digest(text: str) -> bool:
    """Whether the text has a digest's form."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(content: bytes) -> Digest:
    """The digest of bytes."""
    return Digest("sha256:" + hashlib.sha256(content).hexdigest())


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a build made of one service.

    `build_key` is the hash of the service's input trees, recipe and toolchain, so that an unchanged
    service maps to the digest that it has.
    """

    service: str
    digest: Digest
    build_key: Digest
    revision: str
    """Full commit id that the artifact was first built from."""
    media_type: str
    platform: str
    size: int
    """Bytes of the packed content."""
    origin: Literal["built", "imported"] = "built"
    unprotected: bool = False
    """Whether its build could see or change more than it was given."""
