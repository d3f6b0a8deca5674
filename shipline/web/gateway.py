"""The gateway: the one door through which people reach Prefect's pages and API.

An ASGI application. Whatever the table of routes does not let through, for this person, never reaches Prefect.
"""

import asyncio
import json
import logging
from collections.abc import Collection
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from delivery.errors import DeliveryError, TransientError
from delivery.people.roles import Permission
from shipline.web import pages
from shipline.web.answers import check_answer, rejection
from shipline.web.bodies import question, read_json
from shipline.web.doorway import Doorway, Known, Wrong
from shipline.web.headers import PROTECTION, answered_headers, asked_headers
from shipline.web.hosts import host_name
from shipline.web.identity import Person
from shipline.web.instead import OWN, UI_SETTINGS, without_password
from shipline.web.refusals import Refusal, wants_page
from shipline.web.routes import RouteTable, asks_for_secrets, is_plain, resumed_flow_run, target
from shipline.web.signing_in import SigningIn
from shipline.web.upstream import Passed, Upstream

_MOST_SOCKETS = 100
_logger = logging.getLogger("shipline.gateway")


class Gateway:
    """Used from one event loop."""

    def __init__(
        self, doorway: Doorway, upstream: Upstream, names: Collection[str] | None, signing_in: SigningIn
    ) -> None:
        """`names` are the hosts that are answered to; None when any will do."""
        self._doorway, self._upstream, self._names = doorway, upstream, names
        self._table = RouteTable.of_prefect()
        self._signing_in = signing_in
        self._sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let one websocket through."""
        if scope["type"] == "websocket":
            await self._socket(WebSocket(scope, receive, send))
            return
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Refusal as refusal:
            response = refusal.answer(request)
        except DeliveryError as error:  # people cannot be looked up
            response = Refusal(503, error.message, wait_seconds=2).answer(request)
        for name, value in PROTECTION.items():
            response.headers[name] = value
        await response(scope, receive, send)

    async def close(self) -> None:
        """Give the connections to Prefect back."""
        await self._upstream.close()

    async def _answer(self, request: Request) -> Response:
        """Of our own pages, or of Prefect; Refusal when it is neither's to give."""
        path: str = request.scope["path"]
        self._require_readable(request.headers.get("host", ""), path)
        if path.startswith(pages.HERE):
            return await self._signing_in.answer(request)
        known = await asyncio.to_thread(self._doorway.of, request)
        if not isinstance(known, Known):
            return _stranger(request, known)
        if path in OWN and request.method == "GET" and known.person.may(Permission.READ):
            return JSONResponse(OWN[path])
        self._require_passage(request, known)
        if resumed_flow_run(request.method, path):
            return await self._resume(request, known.person)
        return await self._ask(request, question(await read_json(request)))

    def _require_readable(self, host: str, path: str) -> None:
        """Whether it is we who are called, by a path that everybody reads alike."""
        name = host_name(host.encode("latin-1", "replace"))
        if self._names is not None and name and name not in self._names:
            raise Refusal(421, f"'{name}' is no name of this gateway")
        if not is_plain(path):
            raise Refusal(400, "that path can be read in more than one way")

    def _require_passage(self, request: Request, known: Known) -> None:
        """Whether this person, from a page of ours, may go there."""
        method, path = request.method, request.scope["path"]
        needed = self._table.permission(method, path)
        if needed is None or asks_for_secrets(request.url.query):
            raise Refusal(403, f"{method} {path} is not let through")
        if not known.person.may(needed) and not resumed_flow_run(method, path):  # which says so in Prefect's way
            raise Refusal(403, f"{known.person.name} has no permission '{needed}', which {method} {path} needs")
        if not self._doorway.asked_by_us(method, request.headers, known):
            raise Refusal(403, "another site's page has asked for that")

    async def _resume(self, request: Request, person: Person) -> Response:
        """Let a person's answer through to a flow run that waits, in their own name; or say why it does not count."""
        document = await read_json(request)
        document = {} if document is None else document
        if not isinstance(document, dict) or not document.keys() <= {"run_input"}:
            raise Refusal(400, "the body is not {run_input}")
        given = document.get("run_input")
        look = self._doorway.identity.look_at_code
        checked = await asyncio.to_thread(check_answer, person, {} if given is None else given, look)
        flow_run = resumed_flow_run(request.method, request.scope["path"])
        if checked.reason:
            _logger.info("%s answered flow run %s: %s", person.name, flow_run, checked.reason)
            return JSONResponse(rejection(checked.reason))
        _logger.info("%s answered flow run %s: %s", person.name, flow_run, checked.answer["decision"])
        return await self._ask(request, question({"run_input": dict(checked.answer)}))

    async def _ask(self, request: Request, content: bytes) -> Response:
        """Prefect's answer, as it comes."""
        path = request.scope["path"]
        headers = asked_headers(request.headers.items())
        if path == UI_SETTINGS:
            headers = [(name, value) for name, value in headers if name == "accept"]
        if content:
            headers.append(("content-type", "application/json"))
        try:
            answer = await self._upstream.ask(request.method, target(path, request.url.query), headers, content)
            if path == UI_SETTINGS and answer.status == HTTPStatus.OK:
                return JSONResponse(without_password(json.loads(await answer.read())))
        except TransientError as error:
            _logger.warning("%s", error.message)
            raise Refusal(502, "Prefect does not answer: try again in a moment", wait_seconds=2) from error
        passed = answered_headers(answer.headers, self._upstream.address())
        return Passed(answer, passed, keep=not path.startswith("/api/"))

    async def _socket(self, socket: WebSocket) -> None:
        """Let somebody who may listen do so."""
        from shipline.web.sockets import pass_on

        path: str = socket.scope["path"]
        known = await asyncio.to_thread(self._doorway.of, socket)
        if self._sockets >= _MOST_SOCKETS or not self._may_listen(socket, path, known):
            await socket.close(1008)
            return
        self._sockets += 1
        try:
            url = self._upstream.address().replace("http", "ws", 1) + target(path, "")
            await pass_on(socket, url, self._upstream.auth_string, lambda: self._still_known(socket))
        finally:
            self._sockets -= 1

    def _may_listen(self, socket: WebSocket, path: str, known: Known | Wrong | None) -> bool:
        try:
            self._require_readable(socket.headers.get("host", ""), path)
        except Refusal:
            return False
        needed = self._table.permission("WEBSOCKET", path) if path.startswith("/api/") else None
        if needed is None or not isinstance(known, Known) or not known.person.may(needed):
            return False
        return self._doorway.asked_by_us("WEBSOCKET", socket.headers, known)

    def _still_known(self, socket: WebSocket) -> bool:
        return isinstance(self._doorway.of(socket), Known)


def _stranger(request: Request, wrong: Wrong | None) -> Response:
    """Somebody has to say who they are first."""
    if wrong:
        raise Refusal(429 if wrong.wait_seconds else 401, wrong.reason, wrong.wait_seconds)
    if not wants_page(request):
        raise Refusal(401, "sign in first")
    place = target(request.scope["path"], request.url.query)
    if request.headers.get("sec-fetch-site") == "cross-site":  # a strict cookie stays at home then
        return HTMLResponse(pages.same_page(place))
    return RedirectResponse(pages.sign_in_place(place), 303)
