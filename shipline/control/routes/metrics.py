"""DORA's metrics over the ledger."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import JsonValue

from delivery.dora import beside, measure
from delivery.dora_question import parse_question
from delivery.dora_rows import read_history
from delivery.people.roles import Permission
from shipline.control.access import Ports, Project, needs
from shipline.control.known_environments import require_ever_known

router = APIRouter(tags=["metrics"])


@router.get("/projects/{project}/dora", dependencies=[needs(Permission.READ)])
def dora(  # noqa: PLR0913, PLR0917  # query parameters
    ports: Ports,
    project: Project,
    environment: str | None = None,
    service: str | None = None,
    start: Annotated[str | None, Query(alias="from")] = None,
    to: str | None = None,
    edition: str | None = None,
    variant: str | None = None,
    ignore_author: Annotated[list[str] | None, Query()] = None,
) -> dict[str, JsonValue]:
    """The five metrics, each with the rows behind it; beside them, as the other variant counts them."""
    asked = {
        "environment": environment,
        "service": service,
        "from": start,
        "to": to,
        "edition": edition,
        "variant": variant,
    }
    if environment:
        require_ever_known(ports, project, environment)
    now = ports.clock.now()
    rows = (ports.ledger.rows(table, project=project) for table in ("deployments", "commits", "incidents"))
    question, history = parse_question(asked, now, ignore_author or ()), read_history(*rows)
    return {**measure(history, question, now), "beside": beside(history, question, now)}
