"""Each stream's head, published outside of the database: whoever cuts the chain off there does not reach this file."""

import json

from delivery.adapters.atomic_file import replace_file
from delivery.artifact import Digest, parse_digest
from delivery.errors import ConfigurationError, VerificationError
from delivery.home import Home
from delivery.ledger_verification import Heads


def publish_heads(home: Home, heads: Heads) -> None:
    """Replace what is published, when anything is new."""
    if heads != read_heads(home):
        document = {stream: {"sequence": head[0], "digest": head[1]} for stream, head in sorted(heads.items())}
        replace_file(home.published_heads, json.dumps(document, indent=1).encode())


def read_heads(home: Home) -> dict[str, tuple[int, Digest]]:
    """What was published last; empty before the first time. VerificationError when the file was tampered with."""
    if not home.published_heads.exists():
        return {}
    try:
        document = json.loads(home.published_heads.read_bytes())
        return {stream: (int(head["sequence"]), parse_digest(head["digest"])) for stream, head in document.items()}
    except (ValueError, KeyError, TypeError, AttributeError, ConfigurationError) as error:
        message = f"reading the published heads {home.published_heads}: it is not what Shipline wrote"
        raise VerificationError(message, hint="compare the ledger with a copy of the file") from error
