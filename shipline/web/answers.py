"""A person's answer on the approval form, looked at before Prefect sees it.

Prefect would fill in templates and variables where an answer's value is an object (`__prefect_kind`), after we have
looked: so a value is a text, and a name is one that the form has.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from delivery.gates.verdict import Verdict
from delivery.people.roles import Permission
from shipline.web.identity import Person

DECISIONS = ("approve", "reject", "recheck")
_LONGEST = {"decision": 20, "approver": 200, "comment": 2000, "code": 20}
Look = Callable[[str, str], Verdict]
"""Whether a code is this person's, before it is used."""


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """What Prefect is given, or why it is given nothing."""

    reason: str = ""
    """For the person; empty when the answer counts."""
    answer: Mapping[str, str] = field(default_factory=dict)


def check_answer(person: Person, answer: JsonValue, look: Look) -> CheckedAnswer:
    """Whether this person's answer counts, as far as can be seen before the flow reads it; it goes on in their name.

    A wrong code is told at once. A right one goes on to the flow, which records it as evidence.
    """
    said, reason = _read(answer)
    if reason:
        return CheckedAnswer(reason)
    decision = said.get("decision", "recheck")
    if decision not in DECISIONS:
        return CheckedAnswer(f"decision must be one of {', '.join(DECISIONS)}, got '{decision[:40]}'")
    if not person.may(Permission.APPROVE):
        return CheckedAnswer(f"{person.name} may not approve or reject")
    code = said.get("code", "").strip()
    if code and (wrong := look(person.name, code).reasons):
        return CheckedAnswer("; ".join(wrong))
    checked = {"decision": decision, "approver": person.name, "comment": said.get("comment", "")}
    return CheckedAnswer("", {**checked, "code": code} if code else checked)


def rejection(reason: str) -> dict[str, JsonValue]:
    """As Prefect itself says no with HTTP 200: its pages show the reason, and the gate goes on waiting."""
    return {"state": None, "status": "REJECT", "details": {"type": "reject_details", "reason": reason}}


def _read(answer: JsonValue) -> tuple[dict[str, str], str]:
    """What was filled in, or why that is no answer."""
    if not isinstance(answer, dict) or not answer.keys() <= _LONGEST.keys():
        return {}, f"an answer has {', '.join(_LONGEST)} and nothing else"
    said: dict[str, str] = {}
    for name, value in answer.items():
        if not isinstance(value, str) or len(value) > _LONGEST[name]:
            return {}, f"{name} must be a text of at most {_LONGEST[name]} characters"
        said[name] = value
    return said, ""
