"""Clients that ask without a pause, and remember everything that was not a good answer."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx


@dataclass(slots=True)
class Hammer:
    url: str
    answers: Counter[str] = field(default_factory=Counter)
    """Good answers, by the version that gave them."""
    failures: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def keep_alive(self) -> None:
        with httpx.Client(trust_env=False, timeout=10) as client:
            while not self._stop.is_set():
                self._ask(client, self.url)

    def anew(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(trust_env=False, timeout=10, limits=limits) as client:
            while not self._stop.is_set():
                self._ask(client, self.url)

    def slowly(self) -> None:
        with httpx.Client(trust_env=False, timeout=10) as client:
            while not self._stop.is_set():
                self._ask(client, f"{self.url}slow")

    def _ask(self, client: httpx.Client, url: str) -> None:
        try:
            answer = client.get(url)
        except httpx.HTTPError as error:
            self.failures.append(repr(error))
            return
        if answer.status_code == httpx.codes.OK:
            self.answers[answer.json()["version"]] += 1
        else:
            self.failures.append(f"{answer.status_code}: {answer.text}")


@contextmanager
def hammering(url: str) -> Iterator[Hammer]:
    """Eight connections: kept alive, new for each request, and waiting a second for each answer."""
    hammer = Hammer(f"{url}/")
    ways = [hammer.keep_alive] * 3 + [hammer.anew] * 3 + [hammer.slowly] * 2
    threads = [threading.Thread(target=way) for way in ways]
    for thread in threads:
        thread.start()
    try:
        yield hammer
    finally:
        hammer._stop.set()
        for thread in threads:
            thread.join()
