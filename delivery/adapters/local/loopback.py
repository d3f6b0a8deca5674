"""Questions over HTTP to processes on this machine; no proxy, no connection kept."""

from functools import cache

import httpx

_ANSWER_SECONDS = 2.0


@cache
def client() -> httpx.Client:
    """One for the process: making it costs more than a hundred questions. It may be used from any thread."""
    return httpx.Client(trust_env=False, timeout=_ANSWER_SECONDS, limits=httpx.Limits(max_keepalive_connections=0))


def health(port: int, path: str) -> str:
    """Ask a health check: empty when it is well, else what came instead."""
    try:
        with client().stream("GET", f"http://127.0.0.1:{port}{path}") as answer:
            return "" if answer.status_code < httpx.codes.BAD_REQUEST else f"GET {path} answered {answer.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"GET {path}: {str(error) or type(error).__name__}"
