"""Compressing where that saves something: gzip members one after another, which every gunzip reads as one stream.

What is packed already (layers of artifacts, git's packs) would cost ten times the time and save nothing.
"""

import zlib
from typing import BinaryIO

_GZIP = 31
"""zlib's window bits for gzip's own frame."""
_STORED, _FAST = 0, 1
_WORTH = 0.9
_SAMPLE_BYTES = 16_384
"""Less than that is not worth a member of its own."""


class GzipMembers:
    """A writer over another one. The level changes only where it is told what comes next."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._level = _FAST
        self._packer = zlib.compressobj(_FAST, zlib.DEFLATED, _GZIP)
        self._taken = 0

    def suit(self, sample: bytes) -> None:
        """Choose the level for content that begins with this sample; a short one changes nothing."""
        if len(sample) < _SAMPLE_BYTES:
            return
        level = _FAST if len(zlib.compress(sample, _FAST)) < _WORTH * len(sample) else _STORED
        if level != self._level:
            self._stream.write(self._packer.flush())
            self._level, self._packer = level, zlib.compressobj(level, zlib.DEFLATED, _GZIP)

    def write(self, content: bytes, /) -> int:
        """As a file's; gives the bytes taken."""
        self._stream.write(self._packer.compress(content))
        self._taken += len(content)
        return len(content)

    def tell(self) -> int:
        """The bytes taken so far."""
        return self._taken

    def close(self) -> None:
        """Write the end of the last member; the stream below stays open."""
        self._stream.write(self._packer.flush())
