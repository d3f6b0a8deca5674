"""Who may call the HTTP API, and what handlers get: the connections of this installation."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request

from delivery.actor import Actor
from delivery.connections import Connections
from delivery.errors import NotFoundError
from delivery.gates.verdict import Verdict
from delivery.people.roles import BUILT_IN, Permission
from shipline.control.answers import Refused
from shipline.control.control import Control
from shipline.control.entrance import ADMITTED, Admitted, Entrance


class Unauthorized(Refused):
    """No token, or not ours: 401, since what was asked was not even looked at."""

    status = 401
    code = "unauthorized"


class Forbidden(Refused):
    """Somebody we know, who may not: 403."""

    status = 403
    code = "forbidden"


def admitted(request: Request, authorization: Annotated[str, Header()] = "") -> Admitted:
    """Who asks; the guard before us knows already."""
    entrance: Entrance = request.app.state.entrance
    found: Admitted | None = request.scope.get(ADMITTED) or entrance.admit_now(authorization.encode())
    if found is None:
        raise Unauthorized(Verdict("token", ("the API token is missing or wrong",)), "set SHIPLINE_TOKEN")
    return found


Asking = Annotated[Admitted, Depends(admitted)]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a route asks of whoever calls it: a dependency of each route."""

    permission: Permission

    def __call__(self, asking: Asking) -> None:
        """Forbidden when they may not."""
        require_permission(asking, self.permission)


def require_permission(asking: Admitted, permission: Permission) -> None:
    """Forbidden, with the roles that would do."""
    if permission not in asking.permissions:
        roles = ", ".join(role for role, allowed in BUILT_IN.items() if permission in allowed)
        reason = f"{asking.actor.subject} may not {permission} here"
        raise Forbidden(Verdict("permission", (reason,)), f"roles that may: {roles}")


def needs(permission: Permission) -> Any:  # noqa: ANN401  # FastAPI's own marker
    """For the `dependencies` of a route."""
    return Depends(Needs(permission))


def control(request: Request) -> Control:
    """What the control plane acts with."""
    found: Control = request.app.state.control
    return found


def connections(request: Request) -> Connections:
    """The installation's ports."""
    return control(request).ports


def caller(asking: Asking) -> Actor:
    """Who acts."""
    return asking.actor


def known_project(project: str, ports: Annotated[Connections, Depends(connections)]) -> str:
    """The slug of a registered project; NotFoundError otherwise."""
    if not ports.ledger.rows("projects", slug=project):
        raise NotFoundError(f"no project '{project}'", hint="shipline project list; shipline project add DIR")
    return project


Acting = Annotated[Control, Depends(control)]
Ports = Annotated[Connections, Depends(connections)]
Caller = Annotated[Actor, Depends(caller)]
Project = Annotated[str, Depends(known_project)]
