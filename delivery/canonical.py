"""Canonical JSON (RFC 8785), the form of everything that is hashed."""

import json

import rfc8785
from pydantic import JsonValue

from delivery.artifact import Digest, digest_of

_LARGEST = 2**53 - 1
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def canonical_bytes(document: JsonValue) -> bytes:
    """The one byte string of a JSON value; raises ValueError for what JSON cannot say.

    Python's own encoder writes the same bytes several times faster wherever no fraction, no huge
    number and no foreign letter in a key is involved: the ledger hashes thousands of entries a second.
    """
    return _encode(document).encode() if _is_plain(document) else rfc8785.dumps(document)


def canonical_digest(document: JsonValue) -> Digest:
    """The digest of the canonical form."""
    return digest_of(canonical_bytes(document))


def _is_plain(value: JsonValue) -> bool:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if isinstance(value, dict):
        for name, one in value.items():  # `all` takes half as long again
            if type(name) is not str or not name.isascii() or not _is_plain(one):
                return False
        return True
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return kind is int and isinstance(value, int) and -_LARGEST <= value <= _LARGEST
