"""The gateway of a control plane: what it is made of, imported when the first person comes."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from shipline.web.hosts import LOOPBACK, names_of
from shipline.web.identity import Identity
from shipline.web.settings import GatewaySettings


@dataclass(frozen=True, slots=True)
class GatewayPlace:
    """Where a gateway stands and what is behind it."""

    settings: GatewaySettings
    host: str
    """Where it listens."""
    port: int
    sessions: Path
    """The file of who is signed in."""
    prefect: Callable[[], str]
    """Prefect's address at this moment."""
    prefect_auth: str

    @property
    def url(self) -> str:
        """What people's browsers are sent to."""
        return self.settings.url or f"http://{self.host}:{self.port}"


def gateway(place: GatewayPlace, identity: Identity) -> ASGIApp:
    """An ASGI application."""
    made: list[ASGIApp] = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if not made:
            await asyncio.to_thread(_import)
            if not made:  # somebody else came meanwhile
                made.append(_made(place, identity))
        await made[0](scope, receive, send)

    return answer


def _import() -> None:
    import_module("shipline.web.gateway")


def _made(place: GatewayPlace, identity: Identity) -> ASGIApp:
    from urllib.parse import urlsplit

    from shipline.web.doorway import Doorway
    from shipline.web.gateway import Gateway
    from shipline.web.sessions import Sessions
    from shipline.web.upstream import Upstream

    public = urlsplit(place.url)
    cookie = "__Host-shipline" if public.scheme == "https" else f"shipline-{place.port}"
    doorway = Doorway(place.settings, identity, Sessions(place.sessions), cookie)
    upstream = Upstream(place.prefect, place.prefect_auth)
    return Gateway(doorway, upstream, _names(place, str(public.hostname)))


def _names(place: GatewayPlace, public: str) -> Collection[str] | None:
    """Hosts that are answered to: with an address for people that one, wherever it listens."""
    listening = names_of(place.host)
    if place.settings.url:
        return {*(listening or LOOPBACK), public}
    return listening


async def not_yet(scope: Scope, receive: Receive, send: Send) -> None:
    """What is served until the control plane can work."""
    from starlette.responses import HTMLResponse
    from starlette.websockets import WebSocket

    from shipline.web.pages import waiting_page

    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).close(1013)
    else:
        await HTMLResponse(waiting_page("Shipline is starting."), 503)(scope, receive, send)
