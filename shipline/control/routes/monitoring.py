"""What operators look at: the queue of all projects, and the same as Prometheus metrics."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import JsonValue

from delivery.people.roles import Permission
from shipline.control.access import Ports, needs
from shipline.control.queue_documents import queue_document

router = APIRouter(tags=["monitoring"])


@router.get("/queue", dependencies=[needs(Permission.READ)])
def queue(ports: Ports) -> dict[str, JsonValue]:
    """What waits for a flow run, of all projects, in the order in which it is served."""
    return queue_document(ports)


@router.get("/metrics", response_class=Response, dependencies=[needs(Permission.READ)])
def metrics(request: Request, ports: Ports) -> Response:
    """In Prometheus' text format; scrape it with the API token as bearer token."""
    from shipline.control.prometheus import CONTENT_TYPE, exposition  # memory that an unscraped plane does not pay

    health: dict[str, Any] = request.app.state.health()
    return Response(exposition(ports, health), media_type=CONTENT_TYPE)
