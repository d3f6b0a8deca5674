"""The HTTP API: one versioned door for the command line, git hooks and the web."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI

from shipline.control import answers
from shipline.control.control import Control
from shipline.control.entrance import Entrance
from shipline.control.routes import (
    cache,
    checks,
    environments,
    governance,
    ledger,
    metrics,
    monitoring,
    people,
    projects,
    promotions,
    runs,
)

_PARTS = (projects, runs, promotions, environments, governance, metrics, ledger, cache, checks, monitoring, people)
Health = Callable[[], dict[str, Any]]
"""`{components: [{name, state, version, url, pid, memory_bytes}], ready, gateway}`."""


def create_app(control: Control, entrance: Entrance, health: Health) -> FastAPI:
    """The application; everything but `/api/v1/health` says what whoever asks has to be allowed."""
    app = FastAPI(
        title="Shipline",
        version=version("shipline"),
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.control, app.state.entrance, app.state.health = control, entrance, health
    answers.install(app)
    app.include_router(_open(health), prefix="/api/v1")
    for part in (
        projects,
        runs,
        promotions,
        environments,
        governance,
        metrics,
        ledger,
        cache,
        checks,
        monitoring,
        people,
    ):
        app.include_router(part.router, prefix="/api/v1")
    return app


def _open(health: Health) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/health")
    def show_health() -> dict[str, Any]:
        """How the control plane's processes are."""
        return health()

    return router
