"""Who may call the HTTP API, and what handlers get: the connections of this installation."""

import getpass
from typing import Annotated

from fastapi import Depends, Header, Request

from delivery.actor import Actor
from delivery.connections import Connections
from delivery.errors import NotFoundError
from delivery.gate import Verdict
from shipline.control.answers import Refused
from shipline.control.control import Control
from shipline.control.guard import is_token


class Unauthorized(Refused):
    """No token, or not ours: 401, since what was asked was not even looked at."""

    status = 401
    code = "unauthorized"


def require_token(request: Request, authorization: Annotated[str, Header()] = "") -> None:
    """Also behind the guard: a route says for itself what it wants."""
    if not is_token(authorization.encode(), request.app.state.token):
        raise Unauthorized(Verdict("token", ("the API token is missing or wrong",)), "set SHIPLINE_TOKEN")


def control(request: Request) -> Control:
    """What the control plane acts with."""
    found: Control = request.app.state.control
    return found


def connections(request: Request) -> Connections:
    """The installation's ports."""
    return control(request).ports


def caller() -> Actor:
    """Whoever holds the API token of this home: the local user."""
    return Actor("local-user", getpass.getuser(), "api-token")


def known_project(project: str, ports: Annotated[Connections, Depends(connections)]) -> str:
    """The slug of a registered project; NotFoundError otherwise."""
    if not ports.ledger.rows("projects", slug=project):
        raise NotFoundError(f"no project '{project}'", hint="shipline project list; shipline project add DIR")
    return project


Acting = Annotated[Control, Depends(control)]
Ports = Annotated[Connections, Depends(connections)]
Caller = Annotated[Actor, Depends(caller)]
Project = Annotated[str, Depends(known_project)]
