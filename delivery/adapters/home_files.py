"""The files of a home that a backup holds, in the order in which they can be copied while everything goes on."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from delivery.adapters.segment_files import stream_folder
from delivery.backup import ROOTS, belongs, turn
from delivery.home import Home
from delivery.ledger_verification import Heads

_SOURCES = "sources"
_PASSES = 10
"""A mirror that git packs anew meanwhile has another file for the same objects: it is looked for again."""
_SEGMENT = re.compile(r"\d+-(\d+)\.json(l\.gz)?")


def files_of(home: Home, heads: Heads) -> Iterator[Path]:
    """Files, folders and links; those of closed segments as far as the ledger has got by these heads."""
    yield from _segments(home, heads)
    for root in ROOTS:
        seen: set[Path] = set()
        for _ in range(_PASSES if root == _SOURCES else 1):
            new = [path for path in _below(home.root, PurePosixPath(root)) if path not in seen]
            if not new:
                break
            yield from new
            seen.update(new)


def _segments(home: Home, heads: Heads) -> Iterator[Path]:
    for stream, (sequence, _) in heads.items():
        for path in sorted((home.ledger_segments / stream_folder(stream)).glob("*.json*")):
            named = _SEGMENT.fullmatch(path.name)
            if named and int(named[1]) <= sequence:
                yield path


def _below(root: Path, at: PurePosixPath) -> Iterator[Path]:
    try:
        found = list(os.scandir(root / at))
    except FileNotFoundError:  # none yet, or gone meanwhile
        return
    folders = {one.name: one.is_dir(follow_symlinks=False) for one in found}
    for name in sorted(folders, key=lambda name: turn(name, folder=folders[name])):
        if belongs(at / name, folder=folders[name]):
            yield root / at / name
            if folders[name]:
                yield from _below(root, at / name)
