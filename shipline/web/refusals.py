"""How the gateway says no: a page for people, a document for programs."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from shipline.web.pages import told_page


class Refusal(Exception):  # noqa: N818  # a refusal is not an error
    """A request that goes no further."""

    def __init__(self, status: int, reason: str, wait_seconds: int = 0) -> None:
        """With HTTP's status; `wait_seconds` until it may be tried again, where that is known."""
        super().__init__(reason)
        self.status, self.reason, self.wait_seconds = status, reason, wait_seconds

    def answer(self, request: Request) -> Response:
        """As whoever asked can read it."""
        headers = {"retry-after": str(self.wait_seconds)} if self.wait_seconds else None
        if wants_page(request):
            return HTMLResponse(told_page(self.reason), self.status, headers)
        return JSONResponse({"detail": self.reason}, self.status, headers)


def wants_page(request: Request) -> bool:
    """Whether a person looks at the answer itself."""
    return request.method in {"GET", "HEAD"} and "text/html" in request.headers.get("accept", "")
