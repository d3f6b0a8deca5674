"""The control plane's process: supervises its components, migrates the database and serves the HTTP API."""

import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

# With SQLAlchemy, before any thread starts: two that import it at once may each see half of it.
import delivery.adapters.postgresql.provision  # noqa: F401
from delivery.adapters.private_home import close_home
from delivery.adapters.processes import ProcessIdentity, alive, identify
from delivery.home import Home
from deployments.prefect_placement import PrefectPlacement
from deployments.prefect_rest import RETRY_SECONDS, PrefectRest
from deployments.prefect_work import PrefectWork
from shipline.control.components import PrefectServer, Worker, database_component
from shipline.control.credentials import api_token, prefect_auth
from shipline.control.door import Door, starting
from shipline.control.entrance import Entrance
from shipline.control.guard import Guard
from shipline.control.hosting import Hosting
from shipline.control.lock import only_one, require_whole
from shipline.control.opening import OpenDoors, open_doors
from shipline.control.plane import ControlPlane
from shipline.control.serving import Doors, api_server, gateway_server
from shipline.control.settings import (
    ControlSettings,
    PrefectAddress,
    free_port,
    listen,
    listen_for_people,
    retention,
)
from shipline.control.state import ControlState, read_state, write_state
from shipline.control.strays import marked
from shipline.control.supervision import Supervisor
from shipline.web.opening import GatewayPlace, not_yet

_HOST_RETRY_SECONDS = 1.0
"""It looks again by itself, and must not keep threads from those who start Prefect again."""
_LOCK_SECONDS = 1.0
"""Whoever asks whether the lock is held has it for a moment."""


def serve(home: Home, settings: ControlSettings) -> None:
    """Run the control plane of a home until SIGTERM or SIGINT; ConfigurationError when one runs already."""
    require_whole(home)
    close_home(home)
    with only_one(home, _LOCK_SECONDS):
        earlier = read_state(home)
        with ExitStack() as open_sockets:
            sockets = _Sockets(
                open_sockets.enter_context(closing(listen(settings, earlier.ports.get("api")))),
                open_sockets.enter_context(closing(listen_for_people(settings, earlier.ports.get("gateway")))),
            )
            state = _opening_state(earlier, settings, sockets)
            asyncio.run(_run(home, settings, state, sockets))


@dataclass(frozen=True, slots=True)
class _Sockets:
    """On which the control plane's process listens."""

    api: socket.socket
    people: socket.socket


def _opening_state(earlier: ControlState, settings: ControlSettings, sockets: _Sockets) -> ControlState:
    """Addresses of this start; those of processes that are adopted stay."""
    port, gateway_port = (int(one.getsockname()[1]) for one in (sockets.api, sockets.people))
    prefect_port = _adopted_port(earlier) or free_port(settings.prefect_port, earlier.ports.get("prefect"))
    return ControlState(
        process=identify(os.getpid()),
        url=f"http://{settings.host}:{port}",
        prefect_url=f"http://127.0.0.1:{prefect_port}",
        gateway_url=settings.gateway.url or f"http://{settings.host}:{gateway_port}",
        ports={"api": port, "prefect": prefect_port, "gateway": gateway_port},
        components=earlier.components,
    )


def _adopted_port(earlier: ControlState) -> int | None:
    """Where an earlier Prefect listens that still runs; a record alone says nothing."""
    prefect = earlier.components.get("prefect")
    return earlier.ports.get("prefect") if prefect and alive(prefect) else None


def _plane(
    home: Home, settings: ControlSettings, state: ControlState, address: PrefectAddress, hosting: Hosting
) -> ControlPlane:
    api_token(home)
    database = database_component(home, settings)
    needs = (database.name,) if database else ()
    components = [
        *([database] if database else []),
        PrefectServer(home, address, hosting.spawn, retention()).component(needs=(*needs, "worker")),
        Worker(home, lambda: address.url, hosting).component(needs=needs),
    ]

    def remember(running: Mapping[str, ProcessIdentity]) -> None:
        ports = {**state.ports, "prefect": address.port}
        write_state(home, replace(state, components=running, prefect_url=address.url, ports=ports))

    return ControlPlane(
        home=home,
        url=str(state.url),
        gateway_url=str(state.gateway_url),
        flow_runs=PrefectPlacement(_rest(home, address), state.gateway_url, due=hosting.take_up),
        hosting=hosting,
        supervisor=Supervisor(
            [marked(home, one) for one in components],
            state.components,
            remember,
            home.control_logs / "control.log",
        ),
        pid=os.getpid(),
    )


def _rest(home: Home, address: PrefectAddress, retry_seconds: float = RETRY_SECONDS) -> PrefectRest:
    return PrefectRest(lambda: f"{address.url}/api", prefect_auth(home), retry_seconds)


async def _run(home: Home, settings: ControlSettings, state: ControlState, sockets: _Sockets) -> None:
    """Start, serve until told to stop, stop in order: API, worker, Prefect, PostgreSQL."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    write_state(home, state)
    changed = asyncio.Event()
    address = PrefectAddress(state.ports["prefect"], settings.prefect_port)
    hosting = Hosting(PrefectWork(_rest(home, address, _HOST_RETRY_SECONDS)), changed.set)
    plane = await asyncio.to_thread(_plane, home, settings, state, address, hosting)
    place = GatewayPlace(
        settings.gateway,
        settings.host,
        state.ports["gateway"],
        home.credentials,
        lambda: address.url,
        prefect_auth(home),
    )
    entrance = Entrance(api_token(home))
    opened = OpenDoors(Door(starting(plane), changed.set), entrance, Door(not_yet, lambda: None), place)
    doors = Doors(
        (
            (api_server(Guard(opened.api, entrance, settings.host)), sockets.api),
            (gateway_server(opened.people), sockets.people),
        )
    )
    supervising = asyncio.create_task(plane.supervisor.run())
    opening = asyncio.create_task(open_doors(plane, opened, settings, changed))
    serving = asyncio.create_task(doors.serve())
    told = asyncio.create_task(stopping.wait())
    await asyncio.wait({told, serving, supervising, opening}, return_when=asyncio.FIRST_COMPLETED)
    doors.stop()
    served = await asyncio.gather(serving, return_exceptions=True)
    for task in (told, opening, supervising):
        task.cancel()
    kept = await asyncio.gather(opening, supervising, return_exceptions=True)
    await _stop(plane)
    write_state(home, ControlState(ports=read_state(home).ports))
    for problem in (*served, *kept):
        if isinstance(problem, Exception):
            raise problem


async def _stop(plane: ControlPlane) -> None:
    """Flow runs first, while everything that they tell of their end still listens."""
    await plane.hosting.stop(plane.home)
    await plane.supervisor.stop()
    plane.flow_runs.close()
