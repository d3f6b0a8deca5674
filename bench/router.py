"""The router in front of a local service: 100,000 requests while rolling updates go on, and how long they take.

`python -m bench.router [REQUESTS]`: four kept connections ask the small Go service of `push_to_live` without a pause.
"""

import http.client
import multiprocessing
import shutil
import statistics
import sys
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event

from bench.push_to_live import VERSION, Restarted, caches, pushed
from bench.table import Row, markdown
from delivery.adapters.postgresql_cluster import free_port

_CLIENTS = 4
_DIRECT_SECONDS = 5.0
_ENOUGH_SECONDS = 600.0

Answers = tuple[list[float], list[str]]
"""Seconds of each good answer, and what was wrong with the others."""


class Load:
    """Clients in processes of their own, from `begin` until `end`."""

    def __init__(self, port: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._over, self._told, self._count = spawn.Event(), spawn.Queue(), spawn.Value("L", 0)
        given = (port, self._over, self._told, self._count)
        self._clients = [spawn.Process(target=_ask, args=given) for _ in range(_CLIENTS)]
        for client in self._clients:
            client.start()

    @property
    def asked(self) -> int:
        """About how many requests by now."""
        return int(self._count.value)

    def end(self) -> Answers:
        """What all of them saw."""
        self._over.set()
        told: list[Answers] = [self._told.get() for _ in self._clients]
        for client in self._clients:
            client.join()
        return [one for times, _ in told for one in times], [one for _, failures in told for one in failures]


def _ask(
    port: int, over: Event, told: "Queue[Answers]", count: "multiprocessing.sharedctypes.Synchronized[int]"
) -> None:
    """One connection that is kept; made anew only when it fails, which counts as a failure."""
    times: list[float] = []
    failures: list[str] = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    while not over.is_set():
        begun = time.perf_counter()
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            failures.append(repr(error))
            connection.close()
        else:
            times.append(time.perf_counter() - begun)
            if answer.status != http.client.OK:
                failures.append(f"status {answer.status}")
        if len(times) % 100 == 0:
            with count.get_lock():
                count.value += 100
    told.put((times, failures))


def measured(requests: int = 100_000) -> list[Row]:
    """Updates follow one another until enough was asked; the same service alone is asked for some seconds."""
    if shutil.which("go") is None:
        return [Row("router: skipped, there is no go here to build a service", [], "s")]
    with caches() as cache, pushed(cache) as (made, port):
        load, updates, begun = Load(port), 0, time.monotonic()
        while (load.asked < requests or updates == 0) and time.monotonic() - begun < _ENOUGH_SECONDS:
            made.commit(VERSION.format(f"update {updates}"), "version.go")
            made.shipline("run")
            updates += 1
        times, failures = load.end()
        alone = Restarted(made.tree / "dist" / "web" / "web", free_port())
        alone.restart()
        time.sleep(1.0)
        direct = Load(alone.port)
        time.sleep(_DIRECT_SECONDS)
        floor, _ = direct.end()
        alone.stop()
    said = f", the first: {failures[0]}" if failures else ""
    what = f"failed requests of {len(times):,} through {updates} rolling updates{said}"
    return [
        Row(what, [float(len(failures))], "requests", 0),
        Row(
            "99th percentile of them, builds going on beside",
            [_p99(times)],
            "s",
            0.005,
            beside=("without router and builds", _p99(floor)),
        ),
        Row(
            "median of them",
            [statistics.median(times)],
            "s",
            beside=("without router and builds", statistics.median(floor)),
        ),
    ]


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[-1]


if __name__ == "__main__":
    print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 100_000)))
