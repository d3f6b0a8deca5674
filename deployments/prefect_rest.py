"""Prefect's REST API: one question at a time, asked again while the server is away."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

import httpx
from pydantic import JsonValue

from delivery.errors import ConfigurationError, NotFoundError, PermanentError, TransientError

_UNAVAILABLE = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that say nothing about the request. Requests that start something carry an idempotency key."""
RETRY_SECONDS = 15.0
"""As long as Prefect's server takes to come back after its supervisor has seen it die."""
_NOT_FOUND, _UNAUTHORIZED, _INVALID = 404, 401, 422
_PAGE = 200
"""The most rows that Prefect gives at once."""


class PrefectRest:
    """One Prefect server. Thread-safe."""

    def __init__(
        self, api_url: str | Callable[[], str], auth_string: str, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        """`auth_string` is `user:password`; `api_url` ends in `/api`, and may be asked each time: the server moves."""
        self._retry_seconds = retry_seconds
        user, _, password = auth_string.partition(":")
        self._http = httpx.Client(auth=(user, password) if auth_string else None, timeout=30.0, trust_env=False)
        self.api_url = api_url if callable(api_url) else lambda: api_url
        self.auth_string = auth_string

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def pages(self, path: str, wanted: Mapping[str, JsonValue]) -> Iterator[dict[str, Any]]:
        """Every row that a filter finds."""
        for offset in count(0, _PAGE):
            rows = self.ask("POST", path, {**wanted, "limit": _PAGE, "offset": offset})
            yield from rows
            if len(rows) < _PAGE:
                return

    def ask(self, method: str, path: str, body: Mapping[str, JsonValue] | None = None) -> Any:  # noqa: ANN401  # JSON
        """The answer's document; asks again while the server is away."""
        doing = f"asking Prefect to {method} {path}"
        deadline, pause = time.monotonic() + self._retry_seconds, 0.05
        while True:
            answer, cause = self._attempt(method, path, body)
            if answer is not None:
                _raise_for(doing, answer)
                return _document(doing, answer)
            if time.monotonic() + pause > deadline:
                raise TransientError(f"{doing}: {cause}", hint="see prefect.log in the control plane's logs")
            time.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311  # spreads retries; no secret
            pause = min(pause * 2, 1.0)

    def _attempt(
        self, method: str, path: str, body: Mapping[str, JsonValue] | None
    ) -> tuple[httpx.Response | None, str]:
        """An answer that says something about the request, or why there is none."""
        try:
            answer = self._http.request(method, f"{self.api_url()}{path}", json=body)
        except httpx.RequestError as error:
            return None, str(error) or type(error).__name__
        if answer.status_code in _UNAVAILABLE:
            return None, f"the server answered {answer.status_code}"
        return answer, ""


def _document(doing: str, answer: httpx.Response) -> Any:  # noqa: ANN401  # JSON
    try:
        return answer.json() if answer.content else {}
    except ValueError as error:  # another program has the port
        raise TransientError(f"{doing}: the answer is not JSON", hint="is that Prefect's server?") from error


def _raise_for(doing: str, answer: httpx.Response) -> None:
    if answer.is_success:
        return
    cause = f"{doing}: {answer.text[:256] or answer.status_code}"
    if answer.status_code == _NOT_FOUND:
        raise NotFoundError(cause)
    if answer.status_code == _UNAUTHORIZED:
        raise PermanentError(f"{doing}: not authorised", hint="the home's prefect-auth is not this server's")
    if answer.status_code == _INVALID:
        raise ConfigurationError(cause)
    raise PermanentError(cause)
