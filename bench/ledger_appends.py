"""How many entries a second the ledger takes from eight processes: `python bench/ledger_appends.py`.

Two loads on the embedded PostgreSQL with its usual, durable settings: one entry a transaction on
eight streams, and batches of ten on one stream. Then the whole chain is verified. The processor time of
writers and server together tells what an otherwise idle machine could do, also where this one is busy.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import psutil

from delivery.actor import SHIPLINE
from delivery.adapters.embedded_postgresql import EmbeddedPostgresql
from delivery.adapters.postgresql.ledger import PostgresqlLedger
from delivery.adapters.postgresql.migration import migrate
from delivery.home import Home
from delivery.ledger import Draft
from delivery.ledger_verification import verify

WRITERS = 8


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


def _write(
    url: str, writer: int, load: Load, seconds: float, start: Barrier, counts: "Queue[tuple[int, float]]"
) -> None:
    ledger = PostgresqlLedger(url, pool_size=1)
    stream = f"{load.batch}-{writer if load.own_stream else 'all'}"
    for number in range(20):
        ledger.append(stream, _drafts(writer, -number - 1, load.batch))
    start.wait()
    used = time.process_time()
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        ledger.append(stream, _drafts(writer, number, load.batch))
        number += 1
    counts.put((number * load.batch, time.process_time() - used))
    ledger.close()


def _server_seconds(server: EmbeddedPostgresql) -> float:
    """Processor time of all its processes, those that have ended included."""
    process = psutil.Process(server.process_id())
    return sum(sum(one.cpu_times()[:4]) for one in (process, *process.children()))


def _measure(server: EmbeddedPostgresql, load: Load, seconds: float) -> tuple[int, float]:
    """Entries written, and processor seconds used for them."""
    used = _server_seconds(server)
    spawn = multiprocessing.get_context("spawn")
    start, counts = spawn.Barrier(WRITERS), spawn.Queue()
    writers = [
        spawn.Process(target=_write, args=(server.urls.application, writer, load, seconds, start, counts))
        for writer in range(WRITERS)
    ]
    for process in writers:
        process.start()
    results = [counts.get() for _ in writers]
    for process in writers:
        process.join()
    used = _server_seconds(server) - used
    return sum(count for count, _ in results), used + sum(seconds for _, seconds in results)


def main() -> None:
    """Measure both loads and verify what they wrote."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="how long each load runs")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgresql(Home(Path(folder) / "home"))
        server.prepare()
        server.start()
        try:
            migrate(server.urls.owner)
            for load in LOADS:
                count, used = _measure(server, load, seconds)
                print(
                    f"{load.name}: {count / seconds:,.0f} entries/s (target {load.target:,}); "
                    f"{used / count * 1e6:.0f} µs of processor time each; load average {os.getloadavg()[0]:.1f}"
                )
            began = time.monotonic()
            ledger = PostgresqlLedger(server.urls.application)
            verification = verify(ledger)
            ledger.close()
            print(f"verified {verification.rows:,} entries in {time.monotonic() - began:.1f} s: ok={verification.ok}")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
