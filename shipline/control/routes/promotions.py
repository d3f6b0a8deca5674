"""Promotions, rollbacks and people's decisions."""

import secrets
from typing import Literal

import uuid6
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from delivery.adapters.ssh_keygen import NAMESPACE
from delivery.gates.verdict import Verdict
from delivery.people.roles import Permission
from delivery.promoting.approval_facts import statement_about
from delivery.promoting.deciding import decide
from delivery.promoting.stopping import abort, retry
from delivery.promoting.turn import read_promotion
from delivery.promotion import Kind
from shipline.control.access import Acting, Asking, Caller, Ports, Project, needs
from shipline.control.answers import require
from shipline.control.control import Control
from shipline.control.deciding import Claimed, decision_of
from shipline.control.dispatcher import wake
from shipline.control.evidence_documents import evidence_document
from shipline.control.feeding import alone
from shipline.control.promoting import promote, roll_back
from shipline.control.promotion_documents import promotion_document
from shipline.control.routes.runs import Reason

router = APIRouter(tags=["promotions"])


class PromotionRequest(BaseModel):
    """A release, a revision, a version or a digest, and where it is to go."""

    model_config = ConfigDict(extra="forbid")

    what: str
    environment: str
    replace: bool = False
    kind: Literal["change", "hotfix", "redeploy"] = "change"
    request: str | None = None


class RollbackRequest(BaseModel):
    """Which environment goes back, and how far."""

    model_config = ConfigDict(extra="forbid")

    environment: str
    to: str | None = None
    service: str | None = None
    request: str | None = None


class DecisionRequest(BaseModel):
    """A person's yes or no."""

    model_config = ConfigDict(extra="forbid")

    decision: Literal["approve", "reject"]
    comment: str = Field("", max_length=2000)
    person: str | None = Field(None, max_length=200)
    code: str | None = Field(None, max_length=20)
    statement: str | None = Field(None, max_length=200_000)
    signature: str | None = Field(None, max_length=20_000)


class StatementRequest(BaseModel):
    """Who is about to sign what."""

    model_config = ConfigDict(extra="forbid")

    person: str = Field(max_length=100)
    decision: Literal["approve", "reject"] = "approve"
    comment: str = Field("", max_length=2000)


@router.post("/projects/{project}/promotions", status_code=201, dependencies=[needs(Permission.RELEASE)])
def request_promotion(body: PromotionRequest, acting: Acting, project: Project, caller: Caller) -> dict[str, JsonValue]:
    """Ask for a release in an environment."""
    found = promote(
        acting.ports,
        project,
        body.what,
        body.environment,
        caller,
        request=body.request or str(uuid6.uuid7()),
        replace_=body.replace,
        kind=Kind(body.kind),
    )
    return promotion_document(acting, found)


@router.post("/projects/{project}/rollbacks", status_code=201, dependencies=[needs(Permission.RELEASE)])
def request_rollback(body: RollbackRequest, acting: Acting, project: Project, caller: Caller) -> dict[str, JsonValue]:
    """Ask for a previously verified release again."""
    request = body.request or str(uuid6.uuid7())
    found = roll_back(
        acting.ports, project, body.environment, caller, to=body.to, service=body.service, request=request
    )
    return promotion_document(acting, found)


@router.get("/projects/{project}/evidence/{identity}", dependencies=[needs(Permission.READ)])
def show_evidence(identity: str, ports: Ports, project: Project) -> dict[str, JsonValue]:
    """What proves an artifact, a release or a promotion."""
    return evidence_document(ports, project, identity)


@router.get("/promotions/{promotion}", dependencies=[needs(Permission.READ)])
def show(promotion: str, acting: Acting) -> dict[str, JsonValue]:
    """A promotion as it stands now."""
    return promotion_document(acting, read_promotion(acting.ports, promotion))


@router.post("/promotions/{promotion}/decision", dependencies=[needs(Permission.READ)])
def decide_promotion(promotion: str, body: DecisionRequest, acting: Acting, asking: Asking) -> dict[str, JsonValue]:
    """Record a decision and wake the promotion; refused when it does not count."""
    found = read_promotion(acting.ports, promotion)
    decision = decision_of(acting.ports, found, Claimed(**body.model_dump()), asking)
    require(decide(acting.ports, found, decision))
    now = read_promotion(acting.ports, promotion)
    if not now.phase.final or now.flow_run:
        _wake(acting, promotion)
    return {
        "id": promotion,
        "decision": body.decision,
        "approver": decision.person.subject,
        "evidence": decision.person.evidence,
        "promotion_state": now.phase.value,
    }


@router.post("/promotions/{promotion}/statement", dependencies=[needs(Permission.READ)])
def make_statement(promotion: str, body: StatementRequest, ports: Ports) -> dict[str, JsonValue]:
    """What somebody would sign now, as the exact text; it is good for ten minutes."""
    about = statement_about(ports, read_promotion(ports, promotion))
    said = about.signed_by(body.person, body.decision, body.comment).made(ports.clock.now(), secrets.token_hex(16))
    return {"namespace": NAMESPACE, "statement": said.content().decode()}


@router.post("/promotions/{promotion}/retry", dependencies=[needs(Permission.RELEASE)])
def retry_promotion(promotion: str, acting: Acting, caller: Caller) -> dict[str, JsonValue]:
    """Continue an Errored promotion under its id."""
    return _after(acting, promotion, retry(acting.ports, read_promotion(acting.ports, promotion), caller))


@router.post("/promotions/{promotion}/abort", dependencies=[needs(Permission.RELEASE)])
def abort_promotion(promotion: str, body: Reason, acting: Acting, caller: Caller) -> dict[str, JsonValue]:
    """Stop a promotion that has not rolled out; a flow run that shows its form sees so and ends."""
    ended = _after(acting, promotion, abort(acting.ports, read_promotion(acting.ports, promotion), body.reason, caller))
    if ended["finished"]:
        _wake(acting, promotion)
    return ended


def _after(acting: Control, promotion: str, verdict: Verdict) -> dict[str, JsonValue]:
    require(verdict)
    return promotion_document(acting, read_promotion(acting.ports, promotion))


def _wake(acting: Control, promotion: str) -> None:
    """Best effort: the dispatcher's next look does the same."""
    with alone(promotion):
        wake(acting, read_promotion(acting.ports, promotion))
