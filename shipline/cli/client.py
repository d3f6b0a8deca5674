"""The one HTTP client of the command line.

It is the standard library's: importing httpx costs 0.3 s, this 0.03 s, and a command that asks three
short questions is mostly its imports. Redirects are not followed, so that the token goes nowhere else.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode, urlsplit

from delivery.errors import ConfigurationError, TransientError
from shipline.cli.errors import ApiError, NotNowError

Query = Mapping[str, str | int | bool | list[str] | None]
_CHUNK = 65_536
_NOT_NOW = frozenset({502, 503, 504})
"""It starts, or something before it cannot reach it: the same question may be answered later."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a control plane listens, and the token it wants."""

    url: str
    token: str


@dataclass(frozen=True, slots=True)
class LogPiece:
    """What a log had to say since an offset."""

    content: bytes
    next_offset: int
    finished: bool


class Client:
    """Asks one control plane. Raises ApiError for its errors, TransientError when it does not answer, or not yet."""

    def __init__(
        self,
        address: Address | Callable[[], Address],
        seconds: float = 120,
        again: Callable[[], Address] | None = None,
    ) -> None:
        """With a function the address is looked for when the first question is asked; `again` does so after `renew`."""
        self._find = address if callable(address) else lambda: address
        self._again = again or self._find
        self._found: Address | None = None
        self._seconds = seconds

    @property
    def address(self) -> Address:
        """Where the control plane listens."""
        if self._found is None:
            self._found = self._find()
        if urlsplit(self._found.url).scheme not in {"http", "https"}:
            raise ConfigurationError(
                f"reaching the control plane: '{self._found.url}' is not an http or https address",
                hint="set SHIPLINE_URL",
            )
        return self._found

    def renew(self) -> None:
        """Look for it again: a control plane that was started anew may listen on another port."""
        self._found, self._find = None, self._again

    def get(self, path: str, query: Query | None = None) -> Any:  # noqa: ANN401  # JSON
        """The document at a path."""
        return self._ask("GET", path, query)

    def post(self, path: str, body: Any = None) -> Any:  # noqa: ANN401  # JSON
        """The answer to a request."""
        return self._ask("POST", path, body=body if body is not None else {})

    def put(self, path: str, body: Any) -> Any:  # noqa: ANN401  # JSON
        """The answer to a replacement."""
        return self._ask("PUT", path, body=body)

    def patch(self, path: str, body: Any) -> Any:  # noqa: ANN401  # JSON
        """The answer to a change of some fields."""
        return self._ask("PATCH", path, body=body)

    def delete(self, path: str, query: Query | None = None) -> Any:  # noqa: ANN401  # JSON
        """The answer to a removal."""
        return self._ask("DELETE", path, query)

    def log(self, run: str, step: str | None, offset: int) -> LogPiece:
        """The log of a run or promotion from a byte on; nothing yet when the run has not begun to write."""
        with self._open("GET", segments("runs", run, "logs"), {"step": step, "offset": offset}) as answer:
            content = answer.read()
            next_offset = int(answer.headers.get("X-Next-Offset") or offset + len(content))
            return LogPiece(content, next_offset, answer.headers.get("X-Finished") == "true")

    def download(self, path: str) -> Iterator[bytes]:
        """A long answer, piece by piece."""
        with self._open("GET", path) as answer:
            while piece := answer.read1(_CHUNK):
                yield piece

    def upload(self, path: str, content: BinaryIO | Iterable[bytes]) -> Any:  # noqa: ANN401  # JSON
        """The answer to a long body, sent piece by piece."""
        with self._open("POST", path, content=content, kind="application/x-ndjson") as answer:
            return _document(answer.read())

    def _ask(self, method: str, path: str, query: Query | None = None, body: Any = None) -> Any:  # noqa: ANN401  # JSON
        content = None if body is None else json.dumps(body).encode()
        with self._open(method, path, query, content, "application/json") as answer:
            return _document(answer.read())

    @contextmanager
    def _open(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        content: bytes | BinaryIO | Iterable[bytes] | None = None,
        kind: str = "application/json",
    ) -> Iterator[HTTPResponse]:
        base = self.address.url.rstrip("/")
        headers = {"Authorization": f"Bearer {self.address.token}", "Accept": "application/json, text/plain"}
        if content is not None:
            headers["Content-Type"] = kind
        # The scheme was checked with the address.
        request = urllib.request.Request(f"{base}/api/v1{path}{_query(query)}", content, headers, method=method)  # noqa: S310
        try:
            with _opener(base).open(request, timeout=self._seconds) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            raise _api_error(error, base) from None
        except (OSError, HTTPException) as error:
            cause = getattr(error, "reason", None) or error
            raise TransientError(
                f"asking the control plane at {base}: {str(cause) or type(cause).__name__}",
                hint="see: shipline doctor",
            ) from error


def segments(*parts: str) -> str:
    """A path of the API from its parts, each quoted."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _query(query: Query | None) -> str:
    given = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in (query or {}).items()
        if value is not None
    }
    return f"?{urlencode(given, doseq=True)}" if given else ""


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Proxies of the environment for a remote control plane, none for our own; no redirects."""
    local = urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({} if local else None),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _document(content: bytes) -> Any:  # noqa: ANN401  # JSON
    try:
        return json.loads(content) if content else None
    except ValueError as error:
        raise TransientError("reading the control plane's answer: it is not JSON") from error


def _api_error(error: urllib.error.HTTPError, url: str) -> ApiError:
    try:
        body = json.loads(error.read())
    except (ValueError, OSError):
        body = None
    kind = NotNowError if error.code in _NOT_NOW else ApiError
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        found = kind(error.code, body)
    else:
        found = kind(error.code, {"error": {"message": f"asking {url}: it answered {error.code} {error.reason}"}})
    if error.code == 401 and not found.hint:  # noqa: PLR2004  # HTTP's Unauthorized
        found.hint = "the token is not this control plane's; set SHIPLINE_TOKEN"
    return found
