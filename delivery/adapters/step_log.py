"""The log of one step: written while the step runs, readable at any time, with every secret masked."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from delivery.masking import Mask

_LINE_BYTES = 8192
"""A line without end is shown in pieces of this size."""


class StepLog:
    """Several sources (the step, its fixtures) write one file, each masked for itself.

    A source's bytes reach the file as soon as they cannot be the beginning of a secret. `show` gets
    complete lines as text, with what is not UTF-8 replaced. Raises OSError when the disk is full.
    """

    def __init__(self, path: Path, secrets: Iterable[str] = (), show: Callable[[str], None] | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("wb")
        self._secrets = tuple(secrets)
        self._show = show
        self._lock = threading.Lock()
        self._sources: list[_Source] = []
        self.written = 0
        """Bytes in the file."""
        self._in_a_line = False

    def source(self, prefix: str = "") -> Callable[[bytes], None]:
        """What takes one stream of output; with a prefix it is written by whole lines, each after the prefix."""
        source = _Source(Mask(self._secrets), prefix.encode(), self._write, self._show)
        self._sources.append(source)
        return source.take

    def note(self, text: str) -> None:
        self._finish()  # what a mask held back was said before
        if self._in_a_line:
            self._write(b"\n")
        self.source()(f"shipline: {text}\n".encode())
        self._finish()

    def close(self) -> None:
        """Write what the masks held back."""
        try:
            self._finish()
        finally:
            self._file.close()

    def _finish(self) -> None:
        while self._sources:
            self._sources.pop(0).finish()

    def _write(self, content: bytes) -> None:
        with self._lock:
            self._file.write(content)
            self._file.flush()
            self.written += len(content)
            self._in_a_line = not content.endswith(b"\n")


class _Source:
    def __init__(
        self, mask: Mask, prefix: bytes, write: Callable[[bytes], None], show: Callable[[str], None] | None
    ) -> None:
        self._mask = mask
        self._prefix = prefix
        self._write = write
        self._show = show
        self._line = b""

    def take(self, chunk: bytes) -> None:
        self._pass_on(self._mask.feed(chunk))

    def finish(self) -> None:
        self._pass_on(self._mask.flush())
        if self._line:
            self._end_line(self._line)

    def _pass_on(self, content: bytes) -> None:
        if content and not self._prefix:
            self._write(content)
        if not self._prefix and self._show is None:
            return
        *lines, self._line = (self._line + content).split(b"\n")
        while len(self._line) > _LINE_BYTES:
            lines.append(self._line[:_LINE_BYTES])
            self._line = self._line[_LINE_BYTES:]
        for line in lines:
            self._end_line(line)

    def _end_line(self, line: bytes) -> None:
        if self._prefix:
            self._write(self._prefix + line + b"\n")
        if self._show is not None:
            self._show((self._prefix + line).decode(errors="replace").rstrip("\r"))
