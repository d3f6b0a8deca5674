"""`shipline incidents`, `shipline incident close`: what went wrong, and until when."""

from typing import Annotated

import typer

from shipline.cli.client import segments
from shipline.cli.output import Document, moment, table
from shipline.cli.session import Session


def incidents(session: Session) -> None:
    """Show open and past incidents.

    Example: shipline incidents --json
    """
    found = session.api.get(session.path("incidents"))
    session.show(found, lambda ones: _render(ones) if ones else session.say("no incidents"))


def close(
    session: Session,
    identity: Annotated[str, typer.Argument(metavar="ID", help="Of the incident.")],
    *,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why it is over; it is recorded.")] = None,
) -> None:
    """Close an incident that no release will close by itself.

    Example: shipline incident close 0198c1f2-7e0a-7bbb-8f00-2f6a5b1c9d3e --reason "the network is back"
    """
    answer = session.api.post(segments("incidents", identity, "close"), {"reason": reason} if reason else {})
    session.show(answer, lambda one: _render([one]))


def _render(found: list[Document]) -> None:
    headings = ("OPENED", "ENVIRONMENT", "STATE", "CAUSED BY", "MITIGATED", "RESOLVED", "INCIDENT")
    table(headings, [_row(one) for one in found])


def _row(one: Document) -> tuple[object, ...]:
    opened, mitigated, resolved = (moment(one.get(name)) for name in ("opened_at", "mitigated_at", "resolved_at"))
    return (opened, one["environment"], one["state"], one["caused_by"], mitigated, resolved, one["id"])
