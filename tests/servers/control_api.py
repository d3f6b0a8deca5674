"""A real HTTP server that speaks the control plane's API from canned documents.

For the command line's own tests: what it sends, renders and exits with. A run or promotion goes one
document further each time it is asked for, so that following has something to follow.
"""

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Document = dict[str, Any]
TOKEN = "a-token-of-tests"
_METHODS = ["GET", "POST", "PUT", "DELETE"]


@dataclass
class ControlApi:
    """What it answers, and what it was asked."""

    url: str = ""
    token: str = TOKEN
    answers: dict[str, list[Any]] = field(default_factory=dict)
    """By `METHOD /path`: the documents in turn, the last one for ever."""
    errors: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """By `METHOD /path`: status and body."""
    logs: dict[str, bytes] = field(default_factory=dict)
    """By `id` or `id/step`."""
    export: list[bytes] = field(default_factory=list)
    asked: list[tuple[str, Document, Any]] = field(default_factory=list)
    """(`METHOD /path`, query, body)"""
    finished: bool = True
    """What is said of every log."""

    def body(self, what: str) -> Any:  # noqa: ANN401  # JSON
        """What was sent with the last such request."""
        return next(body for name, _, body in reversed(self.asked) if name == what)

    def query(self, what: str) -> Document:
        """How it was asked for last."""
        return next(query for name, query, _ in reversed(self.asked) if name == what)

    async def answer(self, request: Request) -> Response:
        """One request."""
        what = f"{request.method} {request.url.path.removeprefix('/api/v1')}"
        content = await request.body()
        kind = request.headers.get("content-type", "")
        body = json.loads(content) if content and kind == "application/json" else content.decode()
        self.asked.append((what, dict(request.query_params), body))
        if what != "GET /health" and request.headers.get("authorization") != f"Bearer {self.token}":
            return _error(401, "unauthorized", "the token is wrong")
        if what in self.errors:
            status, document = self.errors[what]
            return JSONResponse(document, status) if isinstance(document, dict) else Response(document, status)
        if request.url.path.endswith("/logs"):
            return self._log(request)
        if request.url.path.endswith("/export"):
            return StreamingResponse(self._exported(), media_type="application/x-ndjson")
        return self._next(what)

    def _next(self, what: str) -> Response:
        turns = self.answers.get(what)
        if not turns:
            return _error(404, "not_found", f"{what}: there is no such thing")
        return JSONResponse(turns.pop(0) if len(turns) > 1 else turns[0])

    def _log(self, request: Request) -> Response:
        run, step = request.url.path.split("/")[-2], request.query_params.get("step")
        content = self.logs.get(f"{run}/{step}" if step else run)
        if content is None:
            return _error(404, "not_found", f"reading the log of {run}: there is none")
        rest = content[int(request.query_params.get("offset", 0)) :]
        headers = {"X-Next-Offset": str(len(content)), "X-Finished": str(self.finished).lower()}
        return Response(rest, headers=headers, media_type="text/plain")

    async def _exported(self) -> AsyncIterator[bytes]:
        for piece in self.export:
            yield piece


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "hint": "", "where": ""}}, status)


@contextmanager
def control_api() -> Iterator[ControlApi]:
    """One on a free port, in a thread."""
    api = ControlApi()
    app = Starlette(routes=[Route("/{path:path}", api.answer, methods=_METHODS)])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    api.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield api
    finally:
        server.should_exit = True
        thread.join(10)
