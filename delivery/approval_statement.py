"""The statement that an approver signs: exactly what is decided about what, as canonical JSON (RFC 8785).

Whoever has the statement, its signature and the allowed signers can check it with `ssh-keygen -Y verify` alone. A
signature over anything else, or over what has changed since, is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from delivery.artifact import Digest
from delivery.canonical import canonical_bytes
from delivery.gates.verdict import Verdict
from delivery.ledger import utc_text

FRESH = timedelta(minutes=10)
"""How long a signature may be on its way."""
AHEAD = timedelta(minutes=2)
"""By how much the clock of whoever signs may be fast."""
_SHORTEST_NONCE = 16


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody says about one candidate."""

    project: str
    promotion: str
    environment: str
    candidate: Digest
    release: Digest
    digests: Mapping[str, Digest]
    """Of every service in the release."""
    configuration: Digest
    migrations: tuple[str, ...]
    policy_version: int
    decision: Literal["approve", "reject"] = "approve"
    comment: str = ""
    person: str = ""
    at: str = ""
    nonce: str = ""
    statement: Literal["shipline-approval/1"] = "shipline-approval/1"

    def signed_by(self, person: str, decision: Literal["approve", "reject"], comment: str) -> "Statement":
        """The same about a person's decision, still without time and nonce."""
        return replace(self, person=person, decision=decision, comment=comment)

    def made(self, at: datetime, nonce: str) -> "Statement":
        """The same, ready to be signed."""
        return replace(self, at=utc_text(at), nonce=nonce)

    def content(self) -> bytes:
        """The bytes that are signed."""
        return canonical_bytes(_ADAPTER.dump_python(self, mode="json"))


_ADAPTER = TypeAdapter(Statement)


def read_statement(text: str) -> Statement | None:
    """The statement, if it is one in exactly the canonical form; None otherwise."""
    try:
        found = _ADAPTER.validate_json(text)
    except ValidationError:
        return None
    return found if found.content() == text.encode() else None


def judge_statement(said: Statement, expected: Statement, now: datetime) -> Verdict:
    """Whether somebody said just now what is expected, but for time and nonce, which are theirs."""
    reasons = [
        f"the statement says another {name.replace('_', ' ')}"
        for name in sorted(one.name for one in fields(expected))
        if name not in {"at", "nonce"} and getattr(said, name) != getattr(expected, name)
    ]
    if len(said.nonce) < _SHORTEST_NONCE:
        reasons.append(f"its nonce is shorter than {_SHORTEST_NONCE} characters")
    return Verdict("statement", (*reasons, *_untimely(said, now)))


def _untimely(said: Statement, now: datetime) -> tuple[str, ...]:
    try:
        at = datetime.fromisoformat(said.at)
    except ValueError:
        return ("its time is none",)
    if at.tzinfo is None or said.at != utc_text(at):
        return ("its time is not RFC 3339 in UTC with microseconds",)
    if at < now - FRESH:
        return (f"it was made at {said.at}, longer than {FRESH.seconds // 60} minutes ago: sign again",)
    return (f"it was made at {said.at}, which is still to come: look at the clock",) if at > now + AHEAD else ()
