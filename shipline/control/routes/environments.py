"""Environments: what runs, what waits, holds, history, incidents."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, JsonValue

from delivery.connections import Connections
from delivery.errors import NotFoundError
from delivery.gates.verdict import Verdict
from delivery.ledger import Draft
from delivery.people.roles import Permission
from delivery.promoting.judging import judge
from delivery.promoting.turn import read_promotions
from delivery.promotion import Phase
from shipline.control.access import Acting, Caller, Ports, Project, needs
from shipline.control.answers import require
from shipline.control.environment_documents import hold_document, incident_document, status_documents
from shipline.control.known_environments import require_environment, require_ever_known
from shipline.control.library_notes import note_of_project
from shipline.control.promotion_documents import approval_document, history_documents
from shipline.control.queue_documents import queue_document

router = APIRouter(tags=["environments"])


class Hold(BaseModel):
    """Why no automation may move an environment."""

    model_config = ConfigDict(extra="forbid")

    reason: str


class Closing(BaseModel):
    """Why an incident is over."""

    model_config = ConfigDict(extra="forbid")

    reason: str = "closed by a person"


@router.get("/projects/{project}/status", dependencies=[needs(Permission.READ)])
def status(request: Request, ports: Ports, project: Project, environment: str | None = None) -> dict[str, JsonValue]:
    """What runs where, since when, how it is, what waits and why."""
    if environment is not None:
        require_environment(ports, project, environment)
    health: dict[str, Any] = request.app.state.health()
    memory = sum(one.get("memory_bytes") or 0 for one in health["components"])
    return {
        "project": project,
        "environments": status_documents(ports, project, environment),
        "note": note_of_project(ports, project),
        "queue": queue_document(ports, project),
        "control_plane": {
            "memory_bytes": memory,
            "components": health["components"],
            "gateway": health.get("gateway"),
        },
    }


@router.put("/projects/{project}/environments/{environment}/hold", dependencies=[needs(Permission.RELEASE)])
def hold(environment: str, body: Hold, ports: Ports, project: Project, caller: Caller) -> dict[str, JsonValue]:
    """No automation moves this environment from now on."""
    require_environment(ports, project, environment)
    _tell(
        ports,
        project,
        Draft("environment.held", {"environment": environment, "reason": body.reason}, caller, ports.clock.now()),
    )
    return {"environment": environment, "hold": hold_document(ports, project, environment)}


@router.delete("/projects/{project}/environments/{environment}/hold", dependencies=[needs(Permission.RELEASE)])
def unhold(environment: str, ports: Ports, project: Project, caller: Caller) -> dict[str, JsonValue]:
    """Automation may move it again."""
    require_environment(ports, project, environment)
    _tell(ports, project, Draft("environment.released", {"environment": environment}, caller, ports.clock.now()))
    return {"environment": environment, "hold": None}


@router.get("/projects/{project}/approvals", dependencies=[needs(Permission.READ)])
def approvals(acting: Acting, project: Project) -> list[dict[str, JsonValue]]:
    """What waits for a person."""
    ports = acting.ports
    waiting = read_promotions(ports, project=project, phase=Phase.WAITING.value)
    return [approval_document(acting, one) for one in waiting if judge(ports, one).asks_a_person]


@router.get("/projects/{project}/history", dependencies=[needs(Permission.READ)])
def history(
    ports: Ports,
    project: Project,
    environment: str | None = None,
    since: datetime | None = None,
    limit: Annotated[int, Query(ge=1)] = 100,
) -> list[dict[str, JsonValue]]:
    """The ledger's promotions, newest first and so many at most; a time without a zone is UTC."""
    equal = {"environment": environment} if environment else {}
    if environment:
        require_ever_known(ports, project, environment)
    found = read_promotions(ports, order="-sequence", limit=limit, project=project, **equal)
    begin = since.replace(tzinfo=since.tzinfo or UTC) if since else None
    return history_documents(ports, project, [one for one in found if begin is None or one.requested_at >= begin])


@router.get("/projects/{project}/incidents", dependencies=[needs(Permission.READ)])
def incidents(ports: Ports, project: Project) -> list[dict[str, JsonValue]]:
    """Open and past incidents, newest first."""
    return [incident_document(row) for row in ports.ledger.rows("incidents", order="-opened_at", project=project)]


@router.post("/incidents/{incident}/close", dependencies=[needs(Permission.RELEASE)])
def close_incident(incident: str, body: Closing, ports: Ports, caller: Caller) -> dict[str, JsonValue]:
    """Close an incident that no release will close by itself."""
    rows = ports.ledger.rows("incidents", id=incident)
    if not rows:
        raise NotFoundError(f"no incident '{incident}'", hint="shipline incidents lists them")
    if rows[0]["state"] == "resolved":
        require(Verdict("close", (f"incident {incident} is resolved already",)))
    fields: dict[str, JsonValue] = {"id": incident, "resolved_by": caller.subject, "resolution": body.reason}
    _tell(ports, str(rows[0]["project"]), Draft("incident.resolved", fields, caller, ports.clock.now()))
    return incident_document(ports.ledger.rows("incidents", id=incident)[0])


def _tell(ports: Connections, project: str, draft: Draft) -> None:
    ports.ledger.append(project, [draft])
