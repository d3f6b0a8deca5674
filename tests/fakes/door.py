"""The HTTP API over a fake installation, asked without a network."""

import asyncio

import httpx

from delivery.connections import Connections
from shipline.control.api import create_app
from shipline.control.control import Control
from shipline.control.entrance import Entrance
from tests.fakes.flow_runs import RecordedFlowRuns


class Door:
    """Asks the API as somebody with the token."""

    def __init__(self, ports: Connections, token: str = "t") -> None:
        self._token = token
        self._app = create_app(
            Control(ports, RecordedFlowRuns()), Entrance("t", ports), lambda: {"components": [], "ready": True}
        )

    def get(self, path: str, **query: str) -> httpx.Response:
        """The answer to a question."""
        return self.ask("GET", path, params=query)

    def ask(self, method: str, path: str, **more: object) -> httpx.Response:
        """The answer to a request."""

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
                headers = {"Authorization": f"Bearer {self._token}"}
                return await client.request(method, path, headers=headers, **more)  # type: ignore[arg-type]  # httpx's

        return asyncio.run(asked())
