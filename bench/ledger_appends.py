"""How many entries a second the ledger takes from eight processes: `python bench/ledger_appends.py`.

Two loads on the embedded PostgreSQL with its usual, durable settings: one entry a transaction on
eight streams, and batches of ten on one stream. Each runs several rounds, and their median must reach
the target: if it does not, or the chain does not hold, the exit code is 1. The processor time of
writers and server together tells what an otherwise idle machine could do, also where this one is busy.
"""

import argparse
import itertools
import multiprocessing
import os
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


def _report(load: Load, rounds: list[Round]) -> bool:
    """Print it; whether the target was reached."""
    rate, best = median(one.rate for one in rounds), max(one.rate for one in rounds)
    reached = rate >= load.target
    print(
        f"{load.name}: median {rate:,.0f} entries/s, best {best:,.0f} "
        f"(target {load.target:,}: {'reached' if reached else 'MISSED'}); "
        f"{median(one.processor / one.written for one in rounds) * 1e6:.0f} µs of processor time each; "
        f"load average {os.getloadavg()[0]:.1f}"
    )
    return reached


def _verify(server: EmbeddedPostgresql) -> bool:
    began = time.monotonic()
    ledger = PostgresqlLedger(server.urls.application)
    verification = verify(ledger)
    ledger.close()
    print(f"verified {verification.rows:,} entries in {time.monotonic() - began:.1f} s: ok={verification.ok}")
    return verification.ok


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


def main() -> int:
    """Measure both loads and verify what they wrote; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3, help="how long each round lasts")
    parser.add_argument("--rounds", type=int, default=5, help="of each load")
    given = parser.parse_args()
    with _server() as server:
        reached = [_report(load, list(_measure(server, load, given.seconds, given.rounds))) for load in LOADS]
        return 0 if _verify(server) and all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
