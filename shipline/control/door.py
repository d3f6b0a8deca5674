"""What the port answers: health from the first moment on, and the whole HTTP API once it can work."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from shipline.control.answers import answer
from shipline.control.plane import ControlPlane

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class Door:
    """An ASGI application that can be exchanged while it is served."""

    def __init__(self, application: Application, changed: Callable[[], None]) -> None:
        """`changed` is called after every request that may have changed something."""
        self.application = application
        self._changed = changed

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self.application(scope, receive, send)
        if scope.get("method") not in {"GET", "HEAD"}:
            self._changed()


def starting(plane: ControlPlane) -> FastAPI:
    """What is served until the database answers: health, and 503 for everything else."""
    app = FastAPI(openapi_url=None)

    @app.get("/api/v1/health")
    def health() -> dict[str, Any]:
        return plane.health()

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
    def not_yet(path: str) -> JSONResponse:
        return answer(503, "transient", f"answering /{path}: the control plane is starting", "try again in a moment")

    return app
