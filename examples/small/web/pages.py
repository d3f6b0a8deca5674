"""What the web service answers."""

from shared.serving import Route, version_of

ROUTES: dict[str, Route] = {
    "/": lambda _query: {"title": "Small shop", "open": True},
    "/healthz": lambda _query: {"ok": True},
    "/version": lambda _query: version_of("web"),
}
