"""What the greeter service answers."""

import os
from collections.abc import Mapping

from shared.serving import Route, version_of


def greet(query: Mapping[str, str]) -> dict[str, str]:
    """A greeting for `name`; its first word is configuration."""
    return {"greeting": f"{os.environ.get('GREETING', 'Hello')}, {query.get('name', 'world')}!"}


ROUTES: dict[str, Route] = {
    "/": lambda _query: {"try": "/greet?name=Ada"},
    "/greet": greet,
    "/healthz": lambda _query: {"ok": True},
    "/version": lambda _query: version_of("greeter"),
}
