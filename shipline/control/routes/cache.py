"""What is kept for reuse: why a step is or is not reused, how much that helps, and what of it may go."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, JsonValue

from delivery.caching.clearing import look, take_away
from delivery.caching.explaining import explain
from delivery.caching.keeping import choose_removal, read_keep
from delivery.caching.measuring import measure_size, measure_use
from delivery.people.roles import Permission
from delivery.promoting.candidates import configuration_at
from shipline.control.access import Ports, Project, needs
from shipline.control.caching import removal_document, shared_document
from shipline.control.planning import Asked, plan

router = APIRouter(tags=["cache"])
MOST_STEPS = 2_000
"""The newest ones are measured: each is a document in memory, for a moment."""


class Clearing(BaseModel):
    """What is to stay: a size or an age."""

    model_config = ConfigDict(extra="forbid")

    keep: str


@router.get("/projects/{project}/cache/why", dependencies=[needs(Permission.READ)])
def why(
    ports: Ports,
    project: Project,
    step: str,
    revision: str | None = None,
    *,
    dirty: bool = False,
) -> dict[str, JsonValue]:
    """The first component of a step's key that differs from the nearest result that is kept."""
    planned = plan(ports, project, Asked(revision, dirty=dirty))
    configuration = configuration_at(ports, project, planned.revision.commit)
    answers = explain(ports, planned, configuration, step)
    return {"project": project, "revision": planned.revision.commit, "steps": [one.document() for one in answers]}


@router.get("/projects/{project}/cache/stats", dependencies=[needs(Permission.READ)])
def stats(ports: Ports, project: Project) -> dict[str, JsonValue]:
    """Hit rate and time saved of the project's newest steps, and the size of all that is kept."""
    steps = ports.operations.find("steps", project=project, limit=MOST_STEPS)
    return {
        "project": project,
        "steps": measure_use(steps),
        "size": measure_size(look(ports)),
        "shared": shared_document(ports.shared),
    }


@router.get("/cache/gc", dependencies=[needs(Permission.READ)])
def show_removal(ports: Ports, keep: str) -> dict[str, JsonValue]:
    """What would go; nothing does."""
    holdings = look(ports)
    return removal_document(keep, holdings, choose_removal(holdings, read_keep(keep)), removed=False)


@router.post("/cache/gc", dependencies=[needs(Permission.ADMINISTER)])
def clear(body: Clearing, ports: Ports) -> dict[str, JsonValue]:
    """Remove what may go, and tell what went."""
    holdings = look(ports)
    gone = take_away(ports, choose_removal(holdings, read_keep(body.keep)), holdings)
    return removal_document(body.keep, holdings, gone, removed=True)
