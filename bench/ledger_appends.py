"""How many entries a second the ledger takes from eight processes: `python -m bench.ledger_appends`.

Two loads on the embedded PostgreSQL with its usual, durable settings: one entry a transaction on
eight streams, and batches of ten on one stream. Each runs several rounds, and their median must reach
the target: if it does not, or the chain does not hold, the exit code is 1. The processor time of
writers and server together tells what an otherwise idle machine could do, also where this one is busy.
"""

import argparse
import itertools
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median

import psutil

from bench.table import Row, plain
from delivery.actor import SHIPLINE
from delivery.adapters.embedded_postgresql import EmbeddedPostgresql
from delivery.adapters.postgresql.ledger import PostgresqlLedger
from delivery.adapters.postgresql.migration import migrate
from delivery.home import Home
from delivery.ledger import Draft
from delivery.ledger_verification import verify

WRITERS = 8
_WARM_UP = 20
"""Appends of each writer before the first round."""


@dataclass(frozen=True, slots=True)
class Load:
    """What every writer does, and how many entries a second all of them must reach together."""

    name: str
    batch: int
    own_stream: bool
    target: int


LOADS = (
    Load("one entry a transaction, 8 streams", 1, own_stream=True, target=4000),
    Load("batches of ten, 1 stream", 10, own_stream=False, target=5000),
)


def _drafts(writer: int, number: int, batch: int) -> list[Draft]:
    """What a rollout writes most: the observation that follows an intent, with its idempotency key."""
    return [
        Draft(
            "effect.observed",
            {
                "promotion": f"019ab5d2-7c11-7e2a-9d1f-{writer:04d}{number:08d}",
                "action": f"shift/{place}",
                "ok": True,
                "generation": number,
                "message": "2 of 2 instances of api are healthy and have all traffic",
            },
            SHIPLINE,
            datetime.now(UTC),
            f"{writer}/{number}/shift/{place}",
        )
        for place in range(batch)
    ]


@dataclass(frozen=True, slots=True)
class Round:
    """What one writer did in a round, or all of them together."""

    written: int
    rate: float
    """Entries a second."""
    processor: float
    """Seconds."""


def _write(
    url: str, writer: int, load: Load, seconds: float, rounds: int, start: Barrier, told: "Queue[Round]"
) -> None:
    """What each of the processes does."""
    ledger = PostgresqlLedger(url, pool_size=1)
    stream = f"{load.batch}-{writer if load.own_stream else 'all'}"
    numbers = itertools.count()
    for number in itertools.islice(numbers, _WARM_UP):
        ledger.append(stream, _drafts(writer, number, load.batch))
    for _ in range(rounds):
        start.wait()
        used, began, written = time.process_time(), time.monotonic(), 0
        while (passed := time.monotonic() - began) < seconds:
            written += len(ledger.append(stream, _drafts(writer, next(numbers), load.batch)))
        told.put(Round(written, written / passed, time.process_time() - used))
    ledger.close()


def _server_seconds(server: EmbeddedPostgresql) -> float:
    """Processor time of all its processes, those that have ended included."""
    process = psutil.Process(server.process_id())
    return sum(sum(one.cpu_times()[:4]) for one in (process, *process.children()))


def _measure(server: EmbeddedPostgresql, load: Load, seconds: float, rounds: int) -> Iterator[Round]:
    spawn = multiprocessing.get_context("spawn")
    start, told = spawn.Barrier(WRITERS + 1), spawn.Queue()
    given = (load, seconds, rounds, start, told)
    writers = [
        spawn.Process(target=_write, args=(server.urls.application, writer, *given)) for writer in range(WRITERS)
    ]
    for process in writers:
        process.start()
    for _ in range(rounds):
        start.wait()
        used = _server_seconds(server)
        own: list[Round] = [told.get() for _ in writers]
        used = _server_seconds(server) - used
        yield Round(
            sum(one.written for one in own), sum(one.rate for one in own), used + sum(one.processor for one in own)
        )
    for process in writers:
        process.join()


def _verify(server: EmbeddedPostgresql) -> float:
    """Seconds to verify what was written; it must hold."""
    began = time.monotonic()
    ledger = PostgresqlLedger(server.urls.application)
    verification = verify(ledger)
    ledger.close()
    assert verification.ok, verification
    return time.monotonic() - began


@contextmanager
def _server() -> Iterator[EmbeddedPostgresql]:
    """A new one with an empty ledger, gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgresql(Home(Path(folder) / "home"))
        server.prepare()
        server.start()
        try:
            migrate(server.urls.owner)
            yield server
        finally:
            server.stop()


def measured(seconds: float = 3.0, rounds: int = 5) -> list[Row]:
    """Both loads, and the verification of what they wrote."""
    with _server() as server:
        rows = []
        for load in LOADS:
            figures = list(_measure(server, load, seconds, rounds))
            used = median(one.processor / one.written for one in figures) * 1e6
            what = f"ledger, {load.name} ({used:.0f} µs of processor time each)"
            rows.append(Row(what, [one.rate for one in figures], "entries/s", load.target, more_is_better=True))
        return [*rows, Row("ledger, verifying all of that", [_verify(server)], "s")]


def main() -> int:
    """Measure both loads and verify what they wrote; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3, help="how long each round lasts")
    parser.add_argument("--rounds", type=int, default=5, help="of each load")
    given = parser.parse_args()
    rows = measured(given.seconds, given.rounds)
    print(plain(rows))
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
