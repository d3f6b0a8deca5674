"""A real Prefect server on a real PostgreSQL, and the worker that starts its flow runs."""

import asyncio
import socket
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from delivery.adapters import processes
from delivery.adapters.embedded_postgresql import EmbeddedPostgresql
from delivery.adapters.postgresql.operations import PostgresqlOperations
from delivery.adapters.postgresql.urls import read_urls
from delivery.home import Home
from deployments.prefect_rest import PrefectRest
from deployments.prefect_work import PrefectWork
from shipline.control.component import Component
from shipline.control.components import PrefectServer, Worker, prepare_database
from shipline.control.credentials import prefect_auth
from shipline.control.hosting import Hosting
from shipline.control.settings import ControlSettings, PrefectAddress

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
            prepare_database(home, ControlSettings())
            with running(PrefectServer(home, address).component(needs=())):
                yield RunningPrefect(home, address.url)
        finally:
            postgresql.stop()


@contextmanager
def running_worker(prefect: RunningPrefect, modules: Path) -> Iterator[None]:
    """A host as the control plane's, whose flow runs may also import what stands in a folder."""
    begun, over = threading.Event(), threading.Event()
    operations = PostgresqlOperations(read_urls(prefect.home).application)
    rest = PrefectRest(f"{prefect.url}/api", prefect.auth)
    with closing(operations), closing(rest), ThreadPoolExecutor(1) as threads:
        host = _host(prefect, Hosted(rest, operations), modules, begun, over)
        hosted = threads.submit(lambda: asyncio.run(host))
        try:
            processes.wait_until(lambda: begun.is_set() or hosted.done(), _START_SECONDS)
            yield
        finally:
            over.set()
            hosted.result()


@dataclass(frozen=True, slots=True)
class Hosted:
    """What a host works with; closed when its loop and threads have ended."""

    rest: PrefectRest
    operations: PostgresqlOperations


async def _host(
    prefect: RunningPrefect, hosted: Hosted, modules: Path, begun: threading.Event, over: threading.Event
) -> None:
    hosting = Hosting(PrefectWork(hosted.rest), lambda: None)
    warm = Worker(prefect.home, lambda: prefect.url, hosting).component(needs=())
    identity = await asyncio.to_thread(lambda: processes.spawn(_importing(modules, warm.launch())))
    serving = asyncio.create_task(hosting.serve(hosted.operations))
    assert await asyncio.to_thread(processes.wait_until, warm.ready, _START_SECONDS), processes.last_lines(warm.log)
    begun.set()
    await asyncio.to_thread(over.wait)
    await hosting.stop(prefect.home)
    serving.cancel()
    await asyncio.wait([serving])  # so that it says goodbye to Prefect's events before the loop ends
    await asyncio.to_thread(processes.stop, identity, warm.stop_grace_seconds)


def _importing(modules: Path, given: processes.Launch) -> processes.Launch:
    arguments = tuple(argument for argument in given.arguments if argument != "-I")
    path = f"{Path(__file__).parents[2]}:{modules}"
    return replace(given, arguments=arguments, environment={**given.environment, "PYTHONPATH": path})


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
