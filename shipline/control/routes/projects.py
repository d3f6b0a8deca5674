"""Projects, and plans of their revisions."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, JsonValue

from delivery.people.roles import Permission
from delivery.plan import plan_document
from shipline.control.access import Caller, Ports, Project, needs
from shipline.control.known_environments import require_environment
from shipline.control.notes import notes_of
from shipline.control.planning import Asked, plan
from shipline.control.previewing import Question, gates_of
from shipline.control.projects import project_document, register

Names = Annotated[str, Query(description="Names, separated by commas; for `force` also `all`.")]

router = APIRouter(tags=["projects"])


class Registration(BaseModel):
    """Where a project's source is: a work tree's folder or a URL."""

    model_config = ConfigDict(extra="forbid")

    location: str
    slug: str | None = None


@router.post("/projects", dependencies=[needs(Permission.ADMINISTER)])
def add(body: Registration, ports: Ports, caller: Caller) -> dict[str, JsonValue]:
    """Register a project; the same source again is the same project."""
    return register(ports, body.location, body.slug, caller)


@router.get("/projects", dependencies=[needs(Permission.READ)])
def list_projects(ports: Ports) -> list[dict[str, JsonValue]]:
    """Every registered project."""
    return [project_document(row) for row in ports.ledger.rows("projects", order="slug")]


@router.get("/projects/{project}/plan", dependencies=[needs(Permission.READ)])
def show_plan(  # noqa: PLR0913  # query parameters
    ports: Ports,
    project: Project,
    revision: str | None = None,
    base: str | None = None,
    *,
    dirty: bool = False,
    only: Names = "",
    force: Names = "",
    to: str | None = None,
    caller: Caller,
) -> dict[str, JsonValue]:
    """What a run would do, and why; with an environment in `to` also what its gates would say now."""
    if to is not None:
        require_environment(ports, project, to)
    asked = Asked(revision, base, dirty, _names(only), _names(force))
    planned = plan(ports, project, asked)
    document = {**plan_document(planned), "notes": notes_of(ports, project, asked, planned.revision.commit)}
    if to is None:
        return document
    return {**document, "to": to, "gates": gates_of(ports, Question(project, planned.revision, to, caller))}


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]
