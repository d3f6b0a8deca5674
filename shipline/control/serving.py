"""The two doors of the control plane's process: its HTTP API for programs, and the gateway for people."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass

import uvicorn

from shipline.control.door import Application
from shipline.web.impatience import ImpatientProtocol

_TICK_SECONDS = 1.0
"""Between two looks at the clock, for the header that says the time."""
_MOST_CONNECTIONS = 200
"""At the gateway: whoever comes then is answered 503, and the API is as free as before."""
_MOST_BYTES = 1024 * 1024


class Server(uvicorn.Server):
    """Uvicorn, leaving signals to us, and asleep while nobody asks."""

    def __init__(self, config: uvicorn.Config) -> None:
        """As uvicorn's own."""
        super().__init__(config)
        self._told = asyncio.Event()

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]  # also a context manager
        """Nothing."""
        return nullcontext()

    async def main_loop(self) -> None:
        """Until `stop`."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), _TICK_SECONDS)

    def stop(self) -> None:
        """End `serve`, which answers first what has been asked."""
        self.should_exit = True
        self._told.set()


@dataclass(frozen=True, slots=True)
class Doors:
    """Both servers, each with the socket on which it listens."""

    served: Sequence[tuple[Server, socket.socket]]

    async def serve(self) -> None:
        """Until they are stopped, or one cannot go on."""
        async with asyncio.TaskGroup() as tasks:
            for server, listening in self.served:
                tasks.create_task(server.serve(sockets=[listening]))

    def stop(self) -> None:
        """End `serve`."""
        for server, _ in self.served:
            server.stop()


def api_server(application: Application) -> Server:
    """For programs."""
    return Server(
        uvicorn.Config(application, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=5)
    )


def gateway_server(application: Application) -> Server:
    """For people, and whoever else comes by: strict, bounded, and believing nobody's word about who sends."""
    return Server(
        uvicorn.Config(
            application,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
            http=ImpatientProtocol,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=30,
            ws_max_size=_MOST_BYTES,
            ws_per_message_deflate=False,
        )
    )
