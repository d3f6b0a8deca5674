"""Everything that the installed Prefect server answers below `/api`, from its own OpenAPI document.

`python -m deployments.prefect_routes | python -m shipline.web.refresh_routes` brings the gateway's table up to date.
"""

import json
import sys


def prefect_routes() -> list[str]:
    """`METHOD /path/{parameter}` of every route, sorted; websockets, no part of that document, as WEBSOCKET."""
    from prefect.server.api.server import API_ROUTERS, create_app

    paths = create_app(ephemeral=True, ignore_cache=True).openapi()["paths"]
    asked = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    routes = [route for router in API_ROUTERS for route in router.routes]
    sockets = {f"WEBSOCKET {route.path}" for route in routes if not hasattr(route, "methods")}  # type: ignore[attr-defined]
    return sorted(asked | sockets, key=lambda route: route.partition(" ")[::-1])


def main() -> None:
    """Print `{prefect, routes}` as JSON."""
    import prefect

    json.dump({"prefect": prefect.__version__, "routes": prefect_routes()}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
