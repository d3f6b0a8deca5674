"""A real Prefect server on a real PostgreSQL, and the worker that starts its flow runs."""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from delivery.adapters import processes
from delivery.adapters.embedded_postgresql import EmbeddedPostgresql
from delivery.home import Home
from shipline.control.component import Component
from shipline.control.components import PrefectServer, Worker
from shipline.control.credentials import prefect_auth
from shipline.control.settings import PrefectAddress

_START_SECONDS = 180.0
"""Of patience on a busy machine; it takes five."""


@dataclass(frozen=True, slots=True)
class RunningPrefect:
    """Where it listens, and how to ask it."""

    home: Home
    url: str

    @property
    def auth(self) -> str:
        return prefect_auth(self.home)

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        user, _, password = self.auth.partition(":")
        return httpx.request(
            method, f"{self.url}/api{path}", json=body, auth=(user, password), trust_env=False, timeout=30
        )


@contextmanager
def running_prefect() -> Iterator[RunningPrefect]:
    """A server with a database of its own; everything is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="prefect-") as folder:
        home = Home(Path(folder))
        postgresql = EmbeddedPostgresql(home, {"fsync": "off"})
        postgresql.prepare()
        postgresql.start()
        try:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                port = int(probe.getsockname()[1])
            address = PrefectAddress(port)
            with running(PrefectServer(home, address).component(needs=())):
                yield RunningPrefect(home, address.url)
        finally:
            postgresql.stop()


@contextmanager
def running_worker(prefect: RunningPrefect, modules: Path) -> Iterator[None]:
    """A worker whose flow runs may also import what stands in a folder."""
    worker = Worker(prefect.home, lambda: prefect.url).component(needs=())

    def launch() -> processes.Launch:
        given = worker.launch()
        arguments = tuple(argument for argument in given.arguments if argument != "-I")
        path = f"{Path(__file__).parents[2]}:{modules}"
        return replace(given, arguments=arguments, environment={**given.environment, "PYTHONPATH": path})

    with running(replace(worker, launch=launch)):
        yield


@contextmanager
def running(component: Component) -> Iterator[None]:
    """A component without its supervisor."""
    launch = component.launch()
    identity = processes.spawn(launch)
    try:
        processes.wait_until(lambda: component.ready() or not processes.alive(identity), _START_SECONDS)
        assert component.ready(), processes.last_lines(launch.log)
        yield
    finally:
        processes.stop(identity, component.stop_grace_seconds, number=component.stop_signal, leader_only=True)
