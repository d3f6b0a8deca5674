"""The gateway of a control plane: what it is made of, imported when the first person comes."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from shipline.web.hosts import LOOPBACK, names_of
from shipline.web.identity import Identity
from shipline.web.settings import GatewaySettings

if TYPE_CHECKING:
    from shipline.web.doorway import Doorway
    from shipline.web.gateway import Gateway
    from shipline.web.signing_in_by_openid import SigningInByOpenId


@dataclass(frozen=True, slots=True)
class GatewayPlace:
    """Where a gateway stands and what is behind it."""

    settings: GatewaySettings
    host: str
    """Where it listens."""
    port: int
    credentials: Path
    """The folder of who is signed in, and of the secret that an identity provider knows us by."""
    prefect: Callable[[], str]
    """Prefect's address at this moment."""
    prefect_auth: str

    @property
    def url(self) -> str:
        """What people's browsers are sent to."""
        return self.settings.url or f"http://{self.host}:{self.port}"


class LazyGateway:
    """An ASGI application."""

    def __init__(self, place: GatewayPlace, identity: Identity) -> None:
        """Cheap: nobody may ever come."""
        self._place, self._identity = place, identity
        self._made: Gateway | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the gateway answers."""
        if self._made is None:
            await asyncio.to_thread(import_module, "shipline.web.gateway")
            self._made = self._made or _made(self._place, self._identity)  # somebody else may have come meanwhile
        await self._made(scope, receive, send)

    async def close(self) -> None:
        """Give the connections to Prefect back."""
        if self._made is not None:
            await self._made.close()


def _made(place: GatewayPlace, identity: Identity) -> "Gateway":
    from urllib.parse import urlsplit

    from shipline.web.doorway import Doorway
    from shipline.web.gateway import Gateway
    from shipline.web.sessions import Sessions
    from shipline.web.signing_in import SigningIn
    from shipline.web.upstream import Upstream

    public = urlsplit(place.url)
    cookie = "__Host-shipline" if public.scheme == "https" else f"shipline-{place.port}"
    doorway = Doorway(place.settings, identity, Sessions(place.credentials / "gateway-sessions.json"), cookie)
    upstream = Upstream(place.prefect, place.prefect_auth)
    return Gateway(doorway, upstream, _names(place, str(public.hostname)), SigningIn(doorway, _openid(place, doorway)))


def _openid(place: GatewayPlace, doorway: "Doorway") -> "SigningInByOpenId | None":
    """What a provider needs is imported where there is one only."""
    if place.settings.openid is None:
        return None
    from shipline.web.openid_provider import OpenIdProvider
    from shipline.web.pages import OPENID_BACK
    from shipline.web.signing_in_by_openid import SigningInByOpenId

    secret = place.credentials / "oidc-client-secret"
    provider = OpenIdProvider(place.settings.openid, secret.read_text().strip() if secret.exists() else None)
    return SigningInByOpenId(doorway, provider, f"{place.url}{OPENID_BACK}")


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
