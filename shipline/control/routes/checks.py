"""Check results from outside."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, JsonValue

from delivery.people.roles import Permission
from shipline.control.access import Acting, Caller, Project, needs
from shipline.control.checking import Report, take_result

router = APIRouter(tags=["checks"])


class CheckReport(BaseModel):
    """How a check of a revision or of a release went; exactly one of the two."""

    model_config = ConfigDict(extra="forbid")

    name: str
    result: Literal["passed", "failed"]
    revision: str | None = None
    release: str | None = None
    url: str = ""
    summary: str = ""


@router.post("/projects/{project}/checks", status_code=201, dependencies=[needs(Permission.DEVELOP)])
def report(body: CheckReport, acting: Acting, project: Project, caller: Caller) -> dict[str, JsonValue]:
    """Record a result; promotions that wait for it look again."""
    return take_result(acting, project, Report(**body.model_dump()), caller)
