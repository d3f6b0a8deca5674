"""Headers at the gateway: what is asked of Prefect, what of its answer goes back, and what is added for browsers."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

Header = tuple[str, str]
_ASKED = frozenset(
    {"accept", "accept-encoding", "accept-language", "if-modified-since", "if-none-match", "x-prefect-api-version"}
)
"""Named one by one: no credential of a person, no hop's own header and no claim about somebody else passes."""
_ANSWERED = frozenset(
    {
        *("cache-control", "content-disposition", "content-encoding", "content-length", "content-type"),
        *("etag", "last-modified", "retry-after", "vary"),
    }
)
_SOURCES: Mapping[str, str] = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-eval'",  # what draws the graph of a run compiles functions
    "style-src": "'self' 'unsafe-inline'",  # Prefect's pages set styles by script
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
PROTECTION: Mapping[str, str] = {
    "content-security-policy": "; ".join(f"{kind} {places}" for kind, places in _SOURCES.items()),
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Of every answer: a page calls nobody but us, and nobody shows it in theirs."""


def asked_headers(headers: Iterable[Header]) -> list[Header]:
    """What Prefect is told of a request."""
    return [(name, value) for name, value in headers if name in _ASKED]


def answered_headers(headers: Iterable[Header], upstream: str) -> list[Header]:
    """What a browser is told of Prefect's answer; where it sends to stays at the gateway."""
    kept = [(name, value) for name, value in headers if name in _ANSWERED]
    places = [("location", local_place(value, upstream)) for name, value in headers if name == "location"]
    return [*kept, *places]


def local_place(place: str, upstream: str) -> str:
    """A redirection's path, without the host that only we know."""
    parts = urlsplit(place)
    if parts.netloc and f"{parts.scheme}://{parts.netloc}" != upstream:
        return "/"
    path = f"/{parts.path.lstrip('/')}"
    return f"{path}?{parts.query}" if parts.query else path


def is_ours(origin: str, host: str, public: str | None) -> bool:
    """Whether a page of ours asks, by its origin: the public one, or that of the name by which we were asked."""
    return origin != "" and (origin == public or (origin.partition("://")[2] == host and host != ""))


def safe_next(place: str) -> str:
    """Where a person goes on after signing in: a path of ours, whatever somebody wrote into the link."""
    parts = urlsplit(place)
    odd = not place.startswith("/") or place.startswith("//") or not place.isprintable() or "\\" in place
    return "/v2/" if odd or parts.netloc or parts.path.startswith("/shipline/") else place
