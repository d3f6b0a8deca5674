"""Closed segments of the ledger as files below the home, signed with a key that the database never sees.

ledger/STREAM/FIRST-LAST.jsonl.gz    entries as `shipline ledger export` writes them
ledger/STREAM/FIRST-LAST.json        {segment, signature, public_key}; written last
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

from delivery.adapters.atomic_file import file_digest, new_file, replace_file, writing
from delivery.adapters.ledger_key import LedgerKey
from delivery.artifact import Digest, parse_digest
from delivery.canonical import canonical_bytes
from delivery.errors import VerificationError
from delivery.home import Home
from delivery.ledger import Entry, utc_text
from delivery.segments import Segment

_HINT = "bring it back from a copy of the home"
_SUFFIX = len(b',"previous":"","digest":""}') + 2 * len("sha256:") + 2 * 64


class SegmentFiles:
    """`delivery.ports.SegmentStore` in the home's files."""

    def __init__(self, home: Home) -> None:
        self._folder = home.ledger_segments
        self._key = LedgerKey(home)

    def close(self, entries: Sequence[Entry]) -> Segment:
        first, last = entries[0], entries[-1]
        place = self._place(last.stream, first.sequence, last.sequence)
        with writing("closing a segment of the ledger", place), new_file(self._folder) as (stream, move):
            with gzip.GzipFile(filename="", fileobj=stream, mode="wb", mtime=0) as packed:
                packed.writelines(map(_line, entries))
            move(place)
        at, content = datetime.fromisoformat(json.loads(last.content)["at"]), file_digest(place)
        segment = Segment(last.stream, first.sequence, last.sequence, first.previous, last.digest, at, content)
        self._sign(segment, place)
        return segment

    def segments(self, stream: str) -> list[Segment]:
        found = sorted((self._folder / stream_folder(stream)).glob("*.json"))
        return [self._read(one) for one in found]

    def entries(self, stream: str, after: int) -> Iterator[Entry]:
        holding = next((one for one in self.segments(stream) if one.first <= after + 1 <= one.last), None)
        found = self.entries_of(holding) if holding else iter(())
        return (entry for entry in found if entry.sequence > after)

    def entries_of(self, segment: Segment) -> Iterator[Entry]:
        place = self._place(segment.stream, segment.first, segment.last)
        try:
            with gzip.open(place, "rb") as lines:
                yield from (_entry(segment.stream, line) for line in cast("IO[bytes]", lines))
        except (OSError, EOFError, ValueError) as error:
            raise VerificationError(f"reading the closed segment {place}: {error}", hint=_HINT) from error

    def _place(self, stream: str, first: int, last: int) -> Path:
        return self._folder / stream_folder(stream) / f"{first:012d}-{last:012d}.jsonl.gz"

    def _sign(self, segment: Segment, place: Path) -> None:
        document = _document(segment)
        signature = self._key.sign(canonical_bytes(document))
        signed = {"segment": document, "signature": signature, "public_key": self._key.public()}
        replace_file(_beside(place), json.dumps(signed, indent=1).encode())

    def _read(self, place: Path) -> Segment:
        """VerificationError when the signature is not ours."""
        try:
            signed = json.loads(place.read_bytes())
            document = signed["segment"]
            self._key.require(canonical_bytes(document), signed["signature"])
            return Segment(
                stream=document["stream"],
                first=document["first"],
                last=document["last"],
                previous=parse_digest(document["previous"]),
                head=parse_digest(document["head"]),
                last_at=datetime.fromisoformat(document["last_at"]),
                content=parse_digest(document["content"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"reading the closed segment {place}: it is not what Shipline signed"
            raise VerificationError(message, hint=_HINT) from error


def stream_folder(stream: str) -> str:
    """One folder of a path, whatever the stream is called."""
    return stream.replace("%", "%25").replace("/", "%2F") if stream.strip(".") else f"%{stream}"


def _beside(place: Path) -> Path:
    return place.with_name(place.name.removesuffix(".jsonl.gz") + ".json")


def _document(segment: Segment) -> dict[str, Any]:
    return {
        "stream": segment.stream,
        "first": segment.first,
        "last": segment.last,
        "previous": segment.previous,
        "head": segment.head,
        "last_at": utc_text(segment.last_at),
        "content": segment.content,
    }


def _line(entry: Entry) -> bytes:
    """As an exported line; the content's own bytes, which were hashed."""
    head = b'{"stream":%b,"sequence":%d,"content":' % (canonical_bytes(entry.stream), entry.sequence)
    return head + entry.content + f',"previous":"{entry.previous}","digest":"{entry.digest}"}}\n'.encode()


def _entry(stream: str, line: bytes) -> Entry:
    """ValueError for what is no such line."""
    text = line.removesuffix(b"\n")
    tail = json.loads(b"{" + text[-_SUFFIX + 1 :])
    head, _, content = text[:-_SUFFIX].partition(b',"content":')
    sequence = json.loads(head + b"}")["sequence"]
    return Entry(stream, int(sequence), content, Digest(tail["previous"]), Digest(tail["digest"]))
