"""Websockets to Prefect: opened with the control plane's secret, then passed both ways."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

_PROTOCOL = Subprotocol("prefect")
_LONGEST = 1024 * 1024
_FIRST_SECONDS = 10.0
_LOOK_SECONDS = 30.0
"""Between two looks whether the person may still listen."""


async def pass_on(socket: WebSocket, url: str, auth_string: str, may_listen: Callable[[], bool]) -> None:
    """Let a person listen until one side hangs up, or they may no longer.

    Their own first message says who they are to Prefect: it is thrown away, and ours is sent instead.
    """
    try:
        async with connect(url, subprotocols=[_PROTOCOL], proxy=None, max_size=_LONGEST, open_timeout=5) as prefect:
            await socket.accept(subprotocol=_PROTOCOL)
            await asyncio.wait_for(socket.receive_text(), _FIRST_SECONDS)
            await prefect.send(json.dumps({"type": "auth", "token": auth_string}))
            await _until_one_ends(_up(socket, prefect), _down(prefect, socket), _watch(may_listen))
    except (OSError, WebSocketException, WebSocketDisconnect, TimeoutError, KeyError):
        pass
    await _hang_up(socket)


async def _until_one_ends(*ways: object) -> None:
    tasks = [asyncio.ensure_future(way) for way in ways]  # type: ignore[call-overload]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _up(socket: WebSocket, prefect: ClientConnection) -> None:
    while True:
        await prefect.send(await socket.receive_text())


async def _down(prefect: ClientConnection, socket: WebSocket) -> None:
    async for message in prefect:
        await socket.send_text(message if isinstance(message, str) else message.decode())


async def _watch(may_listen: Callable[[], bool]) -> None:
    while await asyncio.to_thread(may_listen):  # noqa: ASYNC110  # nothing tells of it
        await asyncio.sleep(_LOOK_SECONDS)


async def _hang_up(socket: WebSocket) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):  # they have gone
        await socket.close(1000)
