"""What of Prefect is let through, and to whom: a table of every route that its server has, and nothing else.

A method says nothing here: Prefect reads by POST. A route that the table does not know is for nobody.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from delivery.people.roles import Permission

TABLE = Path(__file__).with_name("prefect_routes.json")
"""`{prefect: version, routes: {"METHOD /path/{parameter}": permission or null}}`, below `/api`."""
SECRETS = "include_secrets"
"""The parameter, in a query or a body, that makes Prefect show what blocks keep secret."""
_API = "/api"
_NO_PAGES = frozenset({"/docs", "/docs/oauth2-redirect", "/openapi.json", "/redoc"})
"""Of Prefect's own description: what is not let through need not be explained."""
_ANSWER = re.compile(r"/flow_runs/[^/]+/input/.*-response")
"""What a person has answered: a code that nobody has used yet may stand in it."""
_RESUME = re.compile(r"/api/flow_runs/([^/]+)/resume")
_ODD = re.compile(r"[\x00-\x1f\x7f\\%]|//|/\.{1,2}(/|$)")
"""What two programs may understand differently: control characters, other separators, double encoding, going up."""


@dataclass(frozen=True, slots=True)
class _Route:
    pattern: re.Pattern[str]
    permission: Permission | None


class RouteTable:
    """Decides by method and path alone."""

    def __init__(self, permissions: Mapping[str, str | None]) -> None:
        """By `METHOD /path/{parameter}`: what somebody must be allowed to do; None where nobody is let through."""
        self._routes: dict[tuple[str, int], list[_Route]] = {}
        for named, permission in permissions.items():
            method, _, path = named.partition(" ")
            route = _Route(_pattern(path), Permission(permission) if permission else None)
            self._routes.setdefault((method, path.count("/")), []).append(route)

    @classmethod
    def of_prefect(cls) -> "RouteTable":
        """The one that is kept beside this file."""
        document: dict[str, Any] = json.loads(TABLE.read_text())
        return cls(document["routes"])

    def permission(self, method: str, path: str) -> Permission | None:
        """What a person must be allowed to do for it; None when nobody gets through.

        Where several routes fit, all have to agree: which one Prefect takes is its own affair.
        """
        if path != _API and not path.startswith(f"{_API}/"):
            return Permission.READ if method in {"GET", "HEAD"} and path not in _NO_PAGES else None
        inner = path.removeprefix(_API)
        if _ANSWER.fullmatch(inner):
            return None
        routes = self._routes.get((method, inner.count("/")), ())
        needed = {route.permission for route in routes if route.pattern.fullmatch(inner)}
        return needed.pop() if len(needed) == 1 else None


def resumed_flow_run(method: str, path: str) -> str | None:
    """The flow run that this wakes with a person's answer; None when it is something else."""
    found = _RESUME.fullmatch(path)
    return found[1] if found and method == "POST" else None


def is_plain(path: str) -> bool:
    """Whether nobody can read a decoded path in another way than we do."""
    return path.startswith("/") and not _ODD.search(path)


def asks_for_secrets(query: str) -> bool:
    """Whether what Prefect hides by itself is asked for, whatever value says so."""
    return any(name == SECRETS for name, _ in _pairs(query))


def without_secrets(body: Any) -> Any:  # noqa: ANN401  # JSON
    """The same document, in which what Prefect hides is not asked for."""
    return {**body, SECRETS: False} if isinstance(body, dict) and SECRETS in body else body


def target(path: str, query: str) -> str:
    """Path and query as they are sent on: written anew from what was decided about."""
    asked = urlencode(_pairs(query))
    return quote(path, safe="/:@!$&'()*+,;=~") + (f"?{asked}" if asked else "")


def _pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)


def _pattern(path: str) -> re.Pattern[str]:
    """A parameter is one part of a path."""
    parts = re.split(r"\{[^}]+\}", path)
    return re.compile("[^/]+".join(re.escape(part) for part in parts))
