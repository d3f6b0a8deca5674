"""A small client that goes round what is deployed and remembers everything that was not a good answer."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

ROUND_SECONDS = 0.1


@dataclass(slots=True)
class Patrol:
    """Asks every address ten times a second at most, each time over a new connection."""

    addresses: Sequence[str]
    answers: int = 0
    failures: list[str] = field(default_factory=list)

    def go_round(self, client: httpx.Client) -> None:
        """Ask each once."""
        for address in self.addresses:
            try:
                client.get(address).raise_for_status()
            except httpx.HTTPError as error:
                self.failures.append(f"{time.strftime('%H:%M:%S')} {address}: {error!r}")
            else:
                self.answers += 1


@contextmanager
def patrolling(addresses: Sequence[str]) -> Iterator[Patrol]:
    """Go round until the block ends; every request of a user has to be answered well."""
    with going_round(addresses) as patrol:
        yield patrol
    assert patrol.failures == []
    assert patrol.answers > len(addresses), "it went round more than once"


@contextmanager
def going_round(addresses: Sequence[str]) -> Iterator[Patrol]:
    """Go round until the block ends."""
    patrol, ended = Patrol(addresses), threading.Event()

    def go() -> None:
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(trust_env=False, timeout=20, limits=limits) as client:
            while not ended.wait(ROUND_SECONDS):
                patrol.go_round(client)

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield patrol
    finally:
        ended.set()
        thread.join()
