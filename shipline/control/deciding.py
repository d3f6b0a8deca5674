"""Whose decision it is, by the evidence that comes with it: a signature, a one-time code, a token, or a name."""

from dataclasses import dataclass
from typing import Literal

from delivery.actor import Actor
from delivery.approval_statement import Statement, judge_statement, read_statement
from delivery.connections import Connections
from delivery.gates.verdict import Verdict
from delivery.people.code_checking import check_code
from delivery.people.reading import read_people
from delivery.people.roles import Permission
from delivery.promoting.approval_facts import signing_key, statement_about
from delivery.promoting.approving import Decision, Signed
from delivery.promotion import Promotion
from shipline.control.access import require_permission
from shipline.control.answers import Refused, require
from shipline.control.entrance import Admitted


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a request says of a decision."""

    decision: Literal["approve", "reject"]
    comment: str = ""
    person: str | None = None
    code: str | None = None
    statement: str | None = None
    signature: str | None = None


def decision_of(ports: Connections, promotion: Promotion, claimed: Claimed, asking: Admitted) -> Decision:
    """The decision with its proven evidence; refused when the evidence does not hold.

    A signature and a code speak for themselves, whoever brings them.
    """
    if claimed.statement is not None or claimed.signature is not None:
        return _signed(ports, promotion, claimed)
    if claimed.code is not None:
        person = claimed.person or asking.actor.subject
        require(check_code(ports, person, claimed.code), "codes are enrolled with: shipline people enroll NAME --code")
        return Decision(claimed.decision, Actor("person", person, "one-time-code"), claimed.comment)
    require_permission(asking, Permission.APPROVE)
    return Decision(claimed.decision, _named(claimed, asking), claimed.comment)


def _named(claimed: Claimed, asking: Admitted) -> Actor:
    """The local user may say who decides, which proves nothing; somebody with a token of their own is who they are."""
    if claimed.person in {None, asking.actor.subject}:
        return asking.actor
    if not asking.local:
        reason = f"{asking.actor.subject} cannot decide as {claimed.person}"
        require(Verdict("decision", (reason,)), "bring a signature of theirs or a one-time code")
    return Actor("person", str(claimed.person), "none")


def _signed(ports: Connections, promotion: Promotion, claimed: Claimed) -> Decision:
    said = _read(claimed.statement or "")
    expected = statement_about(ports, promotion).signed_by(said.person, claimed.decision, claimed.comment)
    require(judge_statement(said, expected, ports.clock.now()), "ask for the statement again and sign that")
    text, signature = said.content().decode(), claimed.signature or ""
    key = signing_key(ports, read_people(ports), said.person, text, signature)
    if key is None:
        reason = f"no enrolled key of {said.person} signed this statement for us"
        raise Refused(Verdict("statement", (reason,)), "enroll one with: shipline people enroll NAME --key FILE")
    person = Actor("person", said.person, "ssh-signature")
    return Decision(claimed.decision, person, claimed.comment, Signed(text, signature, key))


def _read(text: str) -> Statement:
    said = read_statement(text)
    if said is None:
        raise Refused(Verdict("statement", ("that is no statement of ours in its canonical form",)))
    return said
