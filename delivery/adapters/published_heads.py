"""Each stream's head, signed and published outside of the database, where whoever rewrites the ledger does not reach.

ledger-head.json    {heads: {STREAM: {sequence, digest}}, at, signature, public_key}
"""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pydantic import JsonValue

from delivery.adapters.atomic_file import replace_file, writing
from delivery.adapters.ledger_key import LedgerKey
from delivery.artifact import Digest, parse_digest
from delivery.canonical import canonical_bytes
from delivery.errors import ConfigurationError, VerificationError
from delivery.home import Home
from delivery.ledger import utc_text
from delivery.ledger_verification import Heads

_SIGNED = ("heads", "at")


def publish_heads(home: Home, heads: Heads, at: datetime) -> bytes | None:
    """Replace what is published below the home, when anything is new: the signed line; None when nothing is."""
    if heads == read_heads(home):
        return None
    told: dict[str, JsonValue] = {
        stream: {"sequence": head[0], "digest": head[1]} for stream, head in sorted(heads.items())
    }
    document: dict[str, JsonValue] = {"heads": told, "at": utc_text(at)}
    key = LedgerKey(home)
    signature = key.sign(canonical_bytes(document))
    line = canonical_bytes({**document, "signature": signature, "public_key": key.public()})
    replace_file(home.published_heads, line)
    return line


def read_heads(home: Home) -> dict[str, tuple[int, Digest]]:
    """What was published last; empty before the first time. VerificationError when somebody else wrote the file."""
    if not home.published_heads.exists():
        return {}
    found = heads_of(home, home.published_heads.read_bytes())
    if found is None:
        message = f"reading the published heads {home.published_heads}: it is not what Shipline signed"
        raise VerificationError(message, hint="compare the ledger with a copy of the file")
    return found


def heads_of(home: Home, line: bytes | str) -> dict[str, tuple[int, Digest]] | None:
    """The heads of a line that this installation signed; None for any other."""
    try:
        document = json.loads(line)
        signed = canonical_bytes({name: document[name] for name in _SIGNED})
        LedgerKey(home).require(signed, document["signature"])
        return {stream: _head(head) for stream, head in document["heads"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, ConfigurationError):
        return None


def append_heads(place: Path, line: bytes) -> None:
    """Add a line to a file outside of the home, and know that it is on the disk."""
    with writing("publishing the ledger's heads", place), place.open("ab") as file:
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _head(document: Mapping[str, JsonValue]) -> tuple[int, Digest]:
    return int(str(document["sequence"])), parse_digest(str(document["digest"]))
