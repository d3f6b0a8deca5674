"""`shipline policy`: the policy in force, what is proposed, and accepting it."""

import json
from typing import Annotated

import typer

from shipline.cli.output import Document, table
from shipline.cli.session import Session


def policy(session: Session) -> None:
    """Show the policy in force, what is proposed, and the difference.

    Example: shipline policy
    """
    session.show(session.api.get(session.path("policy")), lambda one: _render(session, one))


def accept(
    session: Session,
    environment: Annotated[str | None, typer.Argument(metavar="ENV", help="Only this one's; otherwise all.")] = None,
) -> None:
    """Accept what is proposed.

    Example: shipline policy accept staging
    """
    answer = session.api.post(session.path("policy", "accept"), {"environment": environment} if environment else {})
    session.show(answer, lambda one: _render_accepted(session, one))


def _render_accepted(session: Session, found: Document) -> None:
    _render(session, found)
    for one in found.get("refused") or ():
        was = f"{one['environment']}: promotion {one['id']} waits under the policy before and is refused by this one"
        session.say(f"{was}; request it again with: {one['again']}")


def _render(session: Session, found: Document) -> None:
    rules = [
        (name, key.replace("_", " "), _text(value))
        for name, terms in found["environments"].items()
        for key, value in terms.items()
    ]
    table(("ENVIRONMENT", "RULE", "IN FORCE"), rows=rules)
    if not found["proposed"]:
        session.say(found.get("note") or "nothing else is proposed")
        return
    session.say("\nproposed, and not in force until: shipline policy accept")
    table(("ENVIRONMENT", "RULE", "IN FORCE", "PROPOSED", ""), [_proposal(one) for one in found["proposed"]])


def _proposal(one: Document) -> tuple[object, ...]:
    loosens = "loosens" if one["loosens"] else ""
    return (one["environment"], one["field"].replace("_", " "), _text(one["from"]), _text(one["to"]), loosens)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
