"""Prefect's server as the gateway asks it: one request at a time, its answer passed on as it comes.

Over httpx itself: why no proxying library fits is in docs/decisions/0019-gateway.md.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import httpx
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from delivery.errors import TransientError
from shipline.web.headers import Header

_CONNECTIONS = 50
_TIMEOUT = httpx.Timeout(connect=5, read=60, write=10, pool=10)
_WHOLE_SECONDS = 300.0
"""What a whole answer may take: whoever reads too slowly gives the connection back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Prefect's answer; whoever has it reads or closes it."""

    response: httpx.Response

    @property
    def status(self) -> int:
        """HTTP's."""
        return self.response.status_code

    @property
    def headers(self) -> list[Header]:
        """All of them, names in lower case."""
        return [(name.lower(), value) for name, value in self.response.headers.multi_items()]

    async def read(self) -> bytes:
        """The whole body, decoded."""
        try:
            return await self.response.aread()
        except httpx.HTTPError as error:
            raise _away(error) from error
        finally:
            await self.response.aclose()


class Passed(StreamingResponse):
    """Prefect's answer on its way to a browser: its body as it was sent, compressed or not."""

    def __init__(self, answer: Answer, headers: Iterable[Header], *, keep: bool) -> None:
        """With these headers only; `keep` whether a browser may keep it as Prefect says."""
        super().__init__(answer.response.aiter_raw(), answer.status)
        kept = dict(headers) if keep else {**dict(headers), "cache-control": "no-store"}
        self.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept.items()]
        self._answer = answer.response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on; whoever reads too slowly gives the connection to Prefect back."""
        try:
            async with asyncio.timeout(_WHOLE_SECONDS):
                await super().__call__(scope, receive, send)
        finally:
            await self._answer.aclose()


class Upstream:
    """One Prefect server. Used from one event loop."""

    def __init__(self, address: Callable[[], str], auth_string: str) -> None:
        """`address` is asked each time, for the server may move; `auth_string` is `user:password`, which it wants."""
        self.address = address
        self.auth_string = auth_string
        user, _, password = auth_string.partition(":")
        self._http = httpx.AsyncClient(
            auth=(user, password),
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=_CONNECTIONS, keepalive_expiry=15),
            trust_env=False,
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # never used: reading all certificates takes megabytes
        )

    async def ask(self, method: str, target: str, headers: Iterable[Header], content: bytes) -> Answer:
        """The beginning of the answer; TransientError when there is none. No cookie is ever kept."""
        told = dict(headers)
        plain = {"accept-encoding": "identity"}  # or httpx asks for what the browser may not read
        request = self._http.build_request(
            method, f"{self.address()}{target}", headers={**plain, **told}, content=content or None
        )
        try:
            return Answer(await self._http.send(request, stream=True))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _away(error) from error
        finally:
            self._http.cookies.clear()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()


def _away(error: Exception) -> TransientError:
    return TransientError(f"asking Prefect: {error or type(error).__name__}", hint="see prefect.log")
