"""Forgetting what has ended long ago, and closing what the ledger is done with: `python -m shipline.control.retaining`.

A process of its own that steps aside for every other, started by the control plane now and then. What it does it
may do again, and it may be killed anywhere: folders go before documents, so that nothing is left that nobody finds.
"""

import logging
import os
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import JsonValue

from delivery.adapters.embedded import connect
from delivery.adapters.postgresql.detaching import detach
from delivery.adapters.postgresql.urls import read_urls
from delivery.adapters.segment_files import SegmentFiles
from delivery.connections import Connections
from delivery.home import Home
from delivery.promoting.turn import read_promotions
from delivery.promotion import FINAL, Phase
from delivery.retention import Remains, Retention, asked_at, forgettable, id_at, retained_releases
from delivery.run import Run
from delivery.segmenting import close_segments, detach_old
from shipline.control.settings import retention

_logger = logging.getLogger("shipline.control")
_LEAST_PRIORITY = 19
_MOST = 10_000
"""Documents of a table that are looked at in one go."""
_UUID = 36
"""Characters."""
_CHECKOUT_SECONDS = 86_400.0
"""After so long a throw-away checkout is what a kill left behind."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What went."""

    subjects: int
    """Runs and promotions."""
    bytes: int
    """Of their logs."""


def forget(connections: Connections, rules: Retention) -> Forgotten:
    """Drop logs and documents of what may go."""
    now = connections.clock.now()
    sizes = log_sizes(connections.home)
    subjects = sorted(sizes.keys() | _old_documents(connections, id_at(now - rules.runs)))
    remains = (_remains(connections, one, sizes.get(one, 0)) for one in subjects)
    known = (one for one in remains if one is not None)
    gone = list(forgettable(known, sum(sizes.values()), _retained(connections), rules, now))
    for one in gone:
        shutil.rmtree(connections.home.run_logs(one.id), ignore_errors=True)
        connections.operations.forget(one.id)
    return Forgotten(len(gone), sum(one.bytes for one in gone))


def log_sizes(home: Home) -> dict[str, int]:
    """Bytes of logs by run or promotion."""
    folder = home.logs / "runs"
    found = os.scandir(folder) if folder.is_dir() else ()
    return {one.name: _bytes_below(Path(one.path)) for one in found if one.is_dir(follow_symlinks=False)}


def _bytes_below(folder: Path) -> int:
    return sum(one.stat(follow_symlinks=False).st_size for one in os.scandir(folder))


def _old_documents(connections: Connections, before: str) -> set[str]:
    """Runs and promotions of which documents are kept; of many the oldest, the next time goes on."""
    return set(connections.operations.keys("runs", before, _MOST))


def _remains(connections: Connections, identity: str, size: int) -> Remains | None:
    """None for what is no run or promotion."""
    at = asked_at(identity)
    if at is None:
        return None
    document = connections.operations.load("runs", identity)
    if document is not None:
        run = Run.read(document)
        return Remains(identity, at, size, run.verified_at is not None, run.release)
    promotions = read_promotions(connections, id=identity)
    if promotions:
        return Remains(identity, at, size, promotions[0].phase.final, promotions[0].release)
    return Remains(identity, at, size, ended=True, release=None)


def _retained(connections: Connections) -> frozenset[str]:
    running = connections.ledger.rows("running", gone_at=None)
    brought: list[JsonValue] = [str(row["promotion"]) for row in running]
    unfinished: list[JsonValue] = [phase.value for phase in Phase if phase not in FINAL]
    promotions = [*read_promotions(connections, id=brought), *read_promotions(connections, phase=unfinished)]
    return retained_releases(running, promotions)


def clear_checkouts(home: Home, now: float) -> int:
    """Remove throw-away checkouts that a kill left behind; how many."""
    left = [one for one in home.work.iterdir() if _is_left(one, now)] if home.work.is_dir() else []
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return len(left)


def _is_left(folder: Path, now: float) -> bool:
    with suppress(FileNotFoundError):
        return asked_at(folder.name[:_UUID]) is not None and now - folder.stat().st_mtime > _CHECKOUT_SECONDS
    return False


def main(home: Home) -> None:
    """Everything once."""
    os.setpriority(os.PRIO_PROCESS, 0, _LEAST_PRIORITY)
    rules, connections = retention(), connect(home)
    gone = forget(connections, rules)
    if gone.subjects:
        _logger.info("forgot %d runs and promotions, with %d bytes of logs", gone.subjects, gone.bytes)
    clear_checkouts(home, time.time())
    _close_segments(connections, rules)
    connections.close()


def _close_segments(connections: Connections, rules: Retention) -> None:
    ledger, files = connections.ledger, SegmentFiles(connections.home)
    for one in close_segments(ledger, files):
        _logger.info("closed entries %d to %d of %s: %s", one.first, one.last, one.stream, one.head)
    as_owner = partial(detach, read_urls(connections.home).owner)
    for one in detach_old(ledger, files, as_owner, connections.clock.now(), rules.entries):
        _logger.info("entries %d to %d of %s are read from their file by now", one.first, one.last, one.stream)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main(Home(Path(sys.argv[1])))
