"""What every request has to show before anything of it is read: a name of ours, a token, and a bounded body."""

import re
from collections.abc import Collection

from starlette.responses import JSONResponse

from shipline.control.answers import answer
from shipline.control.door import Application, Message, Receive, Send
from shipline.control.entrance import ADMITTED, Entrance
from shipline.web.hosts import host_name, names_of

MOST_BYTES = 1024 * 1024
_OPEN = frozenset({"/api/v1/health", "/api/v1/openapi.json"})
_STREAMED = re.compile(r"/api/v1/projects/[^/]+/ledger/import")
"""Reads piece by piece, with a bound of its own."""


class Guard:
    """An ASGI application before another one."""

    def __init__(self, application: Application, entrance: Entrance, host: str) -> None:
        """`host` is where it listens: the one name, beside those of loopback, that it answers to."""
        self._application, self._entrance = application, entrance
        self._names = names_of(host)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Refuse at once, or hand on with the body that has been read."""
        shown = dict(scope["headers"]).get(b"authorization", b"")
        scope[ADMITTED] = None if scope["path"] in _OPEN else await self._entrance.admit(shown)
        refusal = refused(scope, self._names)
        if refusal is None and not _STREAMED.fullmatch(scope["path"]):
            whole = await _read(receive)
            refusal, receive = (_too_long(), receive) if whole is None else (None, _again(whole, receive))
        await (refusal or self._application)(scope, receive, send)


def refused(scope: Message, names: Collection[str] | None) -> JSONResponse | None:
    """The answer to a request that is not to be read any further; `names` are None when any will do."""
    headers = dict(scope["headers"])
    host = host_name(headers.get(b"host", b""))
    if names is not None and host and host not in names:
        return answer(421, "host", f"answering a request to '{host}': that is no name of this control plane")
    if scope["path"] not in _OPEN and scope[ADMITTED] is None:
        return answer(401, "unauthorized", "the API token is missing or wrong", "set SHIPLINE_TOKEN")
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > MOST_BYTES and not _STREAMED.fullmatch(scope["path"]):
        return _too_long()
    return None


async def _read(receive: Receive) -> Message | None:
    """The body as one message; None when it is too long, and then the rest is never kept."""
    content = bytearray()
    while True:
        piece = await receive()
        content += piece.get("body", b"")
        if len(content) > MOST_BYTES:
            return None
        if not piece.get("more_body"):
            return {**piece, "body": bytes(content)}


def _again(whole: Message, receive: Receive) -> Receive:
    """What was read, then whatever follows: that the caller has gone."""
    left = [whole]

    async def following() -> Message:
        return left.pop() if left else await receive()

    return following


def _too_long() -> JSONResponse:
    return answer(413, "request", f"reading the request: its body is longer than {MOST_BYTES} bytes")
