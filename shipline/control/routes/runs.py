"""Runs: asking for one, looking at it, its logs, retry and abort."""

from dataclasses import replace

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, JsonValue

from delivery.gates.verdict import Verdict
from delivery.people.roles import Permission
from delivery.run import RunState
from delivery.running.work import read_run
from shipline.control.access import Acting, Caller, Ports, Project, needs
from shipline.control.answers import require
from shipline.control.notes import notes_of
from shipline.control.planning import Asked
from shipline.control.queueing import queue_run
from shipline.control.requesting import request_run, start_run
from shipline.control.run_documents import run_document
from shipline.control.run_logs import find_log

router = APIRouter(tags=["runs"])
MOST_LOG_BYTES = 256 * 1024
_RETRIED = frozenset({RunState.ERRORED, RunState.FAILED, RunState.CANCELLED})


class RunRequest(BaseModel):
    """What to run, and how much of it."""

    model_config = ConfigDict(extra="forbid")

    revision: str | None = None
    base: str | None = None
    dirty: bool = False
    only: list[str] = []
    force: list[str] = []
    fail_fast: bool | None = None
    hotfix: bool = False
    sandbox: bool = False
    request: str | None = None
    plan_later: bool = False
    """Answer at once; the run is planned when it is its turn. Takes a full commit id."""


class Reason(BaseModel):
    """Why somebody stops something."""

    model_config = ConfigDict(extra="forbid")

    reason: str = "no reason given"


@router.post("/projects/{project}/runs", status_code=201, dependencies=[needs(Permission.DEVELOP)])
def post_run(body: RunRequest, acting: Acting, project: Project, caller: Caller) -> dict[str, JsonValue]:
    """Ask for a revision to be verified, built and promoted as far as it may go without a person."""
    asked = Asked(**body.model_dump(exclude={"plan_later"}))
    if body.plan_later:
        return {"id": request_run(acting, project, asked, caller).id}
    run = start_run(acting, project, asked, caller)
    return {"id": run.id, "notes": notes_of(acting.ports, project, asked, run.revision)}


@router.get("/runs/{run}", dependencies=[needs(Permission.READ)])
def show(run: str, acting: Acting) -> dict[str, JsonValue]:
    """A run, its steps, artifacts and promotions, as they stand now."""
    return run_document(acting, read_run(acting.ports, run))


@router.get("/runs/{run}/logs", dependencies=[needs(Permission.READ)])
def logs(run: str, ports: Ports, step: str | None = None, offset: int = 0) -> Response:
    """A piece of a log from a byte on; headers say where the next begins and whether it ends there."""
    file, finished = find_log(ports, run, step)
    content = b""
    if file.is_file():
        with file.open("rb") as log:
            log.seek(offset)
            content = log.read(MOST_LOG_BYTES)
    ended = finished and len(content) < MOST_LOG_BYTES
    headers = {"X-Next-Offset": str(offset + len(content)), "X-Finished": str(ended).lower()}
    return Response(content, media_type="text/plain; charset=utf-8", headers=headers)


@router.post("/runs/{run}/retry", dependencies=[needs(Permission.DEVELOP)])
def retry(run: str, acting: Acting) -> dict[str, JsonValue]:
    """Continue a run that did not pass, under its id, from what did not: what it finished is reused."""
    ports = acting.ports
    found = read_run(ports, run)
    if found.state not in _RETRIED:
        named = "only one that is Errored, Failed or Cancelled can be retried"
        require(Verdict("retry", (f"run {run} is {found.state}; {named}",)))
    asked = replace(found, state=RunState.QUEUED, problem="", verified_at=None, abort_requested=None)
    again = replace(asked, attempt=found.attempt + 1)
    ports.operations.save("runs", run, found.project, again.document())
    queue_run(ports, again, ports.clock.now())
    return run_document(acting, again)


@router.post("/runs/{run}/abort", dependencies=[needs(Permission.DEVELOP)])
def abort(run: str, body: Reason, acting: Acting, caller: Caller) -> dict[str, JsonValue]:
    """Stop a run: its steps are killed; what it promoted already goes its own way."""
    ports = acting.ports
    found = read_run(ports, run)
    if found.verified_at is not None:
        require(Verdict("abort", (f"run {run} has ended: {found.state}",)))
    asked = replace(found, abort_requested=f"aborted by {caller.subject}: {body.reason}")
    ports.operations.save("runs", run, found.project, asked.document())
    return run_document(acting, asked)
