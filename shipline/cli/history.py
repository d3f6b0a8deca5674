"""`shipline history`: the ledger's promotions, newest first."""

from typing import Annotated

import typer

from shipline.cli.output import Document, moment, short, table
from shipline.cli.session import Session


def history(
    session: Session,
    environment: Annotated[str | None, typer.Argument(metavar="ENV", help="Only this one.")] = None,
    *,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="RFC 3339, such as 2026-03-01T00:00:00Z.")] = None,
    limit: Annotated[int, typer.Option(metavar="NUMBER", min=1, help="So many at most, the newest.")] = 100,
) -> None:
    """Show the ledger's promotions, newest first.

    Example: shipline history production --since 2026-03-01T00:00:00Z
    """
    found = session.api.get(session.path("history"), {"environment": environment, "since": since, "limit": limit})
    session.show(found, _render)


def _render(found: list[Document]) -> None:
    headings = ("STARTED", "ENVIRONMENT", "KIND", "STATE", "RELEASE", "BY", "APPROVED BY", "PROMOTION", "NOTE")
    table(headings, [_row(one) for one in found])


def _row(one: Document) -> tuple[object, ...]:
    started = moment(one["started_at"] or one["requested_at"])
    what = (one["environment"], one["kind"], one["state"], short(one["release"]))
    return (started, *what, one["by"], ", ".join(one["approvals"]), one["id"], _note(one))


def _note(one: Document) -> str:
    notes = {"undoes": one["rollback_of"], "incident": one["caused_by_incident"]}
    return ", ".join(f"{word} {identity}" for word, identity in notes.items() if identity)
