"""Finds the programs that steps name, and what version they are: part of what decides about reuse."""

import os
import shutil
import threading
from functools import lru_cache
from pathlib import Path

from delivery.adapters.atomic_file import file_digest
from delivery.adapters.process_runner import ProcessRunner
from delivery.errors import ConfigurationError
from delivery.runner import ProcessSpec, ToolVersion

_WAYS = ("--version", "version", "-v")
"""How programs are asked; the first answer with a digit in it counts."""
_ASK_SECONDS = 10.0
_ANSWER_BYTES = 4096
_LINE_CHARACTERS = 200


def tool_version(name: str) -> ToolVersion:
    """A program on our own PATH, its path and version; ConfigurationError when there is none."""
    found = None if os.sep in name else shutil.which(name)
    if found is None:
        raise ConfigurationError(
            f"looking for the tool '{name}': it is not on the PATH of the control plane",
            hint=f"install '{name}', or start shipline with it on the PATH",
        )
    path = Path(found).absolute()
    status = path.stat()
    return ToolVersion(name, path, _version(path, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=256)
def _version(path: Path, _modified: int, _size: int) -> str:
    """Asked once for each state of the file."""
    for way in _WAYS:
        answer = _ask(path, way)
        if answer:
            return answer
    return file_digest(path)


def _ask(path: Path, way: str) -> str:
    said: list[bytes] = []
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(Path.home()), "LANG": "C.UTF-8"}
    spec = ProcessSpec((str(path), way), Path("/"), environment, _ASK_SECONDS, 0.5, maximum_output_bytes=_ANSWER_BYTES)
    ended = ProcessRunner().run(spec, said.append, threading.Event())
    lines = b"".join(said).decode(errors="replace").splitlines() if ended.succeeded else []
    telling = (line.strip() for line in lines if any(character.isdigit() for character in line))
    return next(telling, "")[:_LINE_CHARACTERS]
