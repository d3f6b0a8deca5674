"""Hiding secrets in a stream of bytes, whichever way they are chunked, wrapped or encoded.

Every value is looked for as it is, line by line when it has several, and as base64 (at all three
alignments, both alphabets), URL-encoded, JSON-escaped and shell-quoted. Line breaks inside a match
do not hide it. Pure: bytes in, bytes out; at most about two secrets' length is held back.
"""

import base64
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote, quote_plus

from delivery.secret import MINIMUM_CHARACTERS

_PIECE_BYTES = 1024 * 1024
_BREAKS = b"\r\n"
_BLOTS = (b"***", b"###", b"...", b"---", b"\n")
"""What stands for a secret: the first that has nothing in common with any; none has a line break in the end."""


class Mask:
    """Masks one stream. Feed it chunks in order, and flush it at the end."""

    def __init__(self, values: Iterable[str]) -> None:
        self._forms = secret_forms(values)
        self._longest = max(map(len, self._forms), default=0)
        self._blot = next(blot for blot in _BLOTS if not any(blot[:1] in form for form in self._forms))
        self._held = b""
        self._covered = 0
        """How many bytes of the held text, line breaks aside, belong to a secret that was blotted already."""

    @property
    def reach(self) -> int:
        """Bytes of a stream, line breaks included, in which a secret that began before them has its end."""
        return 4 * self._longest

    def feed(self, chunk: bytes) -> bytes:
        """What may be shown now; the rest, which may be the beginning of a secret, comes later."""
        if not self._forms:
            return chunk
        return self._advance(self._held + chunk, final=False)

    def flush(self) -> bytes:
        """What was held back."""
        return self._advance(self._held, final=True)

    def _advance(self, text: bytes, *, final: bool) -> bytes:
        flat = text.translate(None, _BREAKS)
        spans = _merged([(0, self._covered), *_matches(flat, self._forms)])
        keep = 0 if final else _beginning(flat, self._forms, self._longest)
        cut = len(flat) - keep
        places = _places(text, flat)
        end = places[cut] if keep else len(text)
        shown = self._blotted(text[:end], [(start, min(stop, cut)) for start, stop in spans if start < cut], places)
        self._held = _squeezed(text[end:], 2 * self._longest + 64)
        self._covered = self._over(cut, spans)
        return shown

    def _over(self, cut: int, spans: list[tuple[int, int]]) -> int:
        """How far the secret that was blotted last reaches beyond the cut."""
        blotted = (stop for start, stop in spans if start < cut or (start == 0 and self._covered))
        return max(0, max(blotted, default=0) - cut)

    def _blotted(self, text: bytes, spans: list[tuple[int, int]], places: Sequence[int]) -> bytes:
        shown, at = bytearray(), 0
        for start, stop in spans:
            continued = start == 0 and self._covered > 0
            shown += text[at : places[start]] + (b"" if continued else self._blot)
            at = places[stop - 1] + 1
        return bytes(shown + text[at:])


def mask_text(text: str, values: Iterable[str]) -> str:
    """A whole text with every secret masked. Cut it afterwards, never before: a part of a secret is not found."""
    mask = Mask(values)
    content = text.encode(errors="surrogatepass")  # JSON may hold half a character
    pieces = (content[at : at + _PIECE_BYTES] for at in range(0, len(content), _PIECE_BYTES))
    return b"".join([*(mask.feed(piece) for piece in pieces), mask.flush()]).decode(errors="replace")


def secret_forms(values: Iterable[str]) -> tuple[bytes, ...]:
    """Every form in which the values may show, without line breaks; too short ones are left out."""
    forms = {
        form.translate(None, _BREAKS)
        for value in values
        for part in {value, *value.splitlines()}
        if len(part) >= MINIMUM_CHARACTERS
        for form in _forms(part)
    }
    return tuple(sorted(form for form in forms if len(form) >= MINIMUM_CHARACTERS))


def _forms(value: str) -> Iterator[bytes]:
    raw = value.encode()
    yield raw
    for percent in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield percent.encode()
        yield re.sub("%..", lambda code: code[0].lower(), percent).encode()
    for ascii_only in (True, False):
        escaped = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield escaped.encode()
        yield escaped.replace("/", "\\/").encode()
    yield shlex.quote(value).removeprefix("'").removesuffix("'").encode()
    yield value.replace("'", "'\\''").encode()
    yield from _base64_forms(raw)


def _base64_forms(raw: bytes) -> Iterator[bytes]:
    """With 0, 1 and 2 bytes of something else before it: all to the end, and what depends on the value alone."""
    for before in range(3):
        first = -(-before * 8 // 6)
        last = (before + len(raw)) * 8 // 6
        padded = b"\0" * before + raw
        for encoded in (base64.b64encode(padded), base64.urlsafe_b64encode(padded)):
            yield encoded[first:]
            yield encoded[first:last]


def _matches(flat: bytes, forms: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    for form in forms:
        at = flat.find(form)
        while at >= 0:
            yield at, at + len(form)
            at = flat.find(form, at + 1)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same bytes as disjoint spans, in order; neighbours stay two."""
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], stop)
        elif stop > start:
            merged.append((start, stop))
    return merged


def _beginning(flat: bytes, forms: Sequence[bytes], longest: int) -> int:
    """Length of the longest end of the text with which a form begins."""
    tail = flat[max(0, len(flat) - longest + 1) :]
    best = 0
    for form in forms:
        at = tail.find(form[:1], max(0, len(tail) - len(form) + 1))
        while 0 <= at < len(tail) - best:
            if form.startswith(tail[at:]):
                best = len(tail) - at
            at = tail.find(form[:1], at + 1)
    return best


def _places(text: bytes, flat: bytes) -> Sequence[int]:
    """Where each byte of the text without line breaks stands in the text."""
    if len(text) == len(flat):
        return range(len(text))
    return [at for at, byte in enumerate(text) if byte not in _BREAKS]


def _squeezed(text: bytes, limit: int) -> bytes:
    """Endless empty lines after half a secret must not be held for ever."""
    return text if len(text) <= limit else re.sub(rb"[\r\n]+", b"\n", text)
