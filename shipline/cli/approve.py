"""`shipline approvals`, `approve`, `reject`: people's decisions."""

import re
from collections.abc import Iterator
from typing import Annotated

import typer

from delivery.errors import ConfigurationError, NotFoundError
from shipline.cli.client import segments
from shipline.cli.output import Document, moment, plain
from shipline.cli.session import Session

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Which = Annotated[
    str, typer.Argument(metavar="ID|ENV|latest", help="The promotion, the environment it goes into, or the newest.")
]
Comment = Annotated[str | None, typer.Option(metavar="TEXT", help="Recorded with the decision.")]
Person = Annotated[str | None, typer.Option(metavar="NAME", help="Who decides, where the policy lets you say so.")]


def approvals(session: Session) -> None:
    """Show what waits for a person, and for whom.

    Example: shipline approvals
    """
    session.show(session.api.get(session.path("approvals")), lambda found: _render(session, found))


def approve(session: Session, which: Which, *, comment: Comment = None, person: Person = None) -> None:
    """Say yes to a promotion; returns once that is recorded.

    Example: shipline approve staging --comment "seen in dev"
    """
    _decide(session, which, {"decision": "approve", "comment": comment, "person": person})


def reject(
    session: Session,
    which: Which,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded.")],
    person: Person = None,
) -> None:
    """Say no to a promotion; it ends Refused.

    Example: shipline reject latest --reason "not before Monday"
    """
    _decide(session, which, {"decision": "reject", "comment": reason, "person": person})


def _decide(session: Session, which: str, decision: Document) -> None:
    identity = which if _UUID.fullmatch(which) else _waiting(session, which)
    given = {name: value for name, value in decision.items() if value is not None}
    answer = session.api.post(segments("promotions", identity, "decision"), given)
    session.show(answer, lambda one: session.say(_decided(one)))


def _decided(answer: Document) -> str:
    """What is recorded; what comes of an approval is decided in a moment, by the gates."""
    if answer["decision"] == "reject":
        return f"{answer['id']}: rejected by {answer['approver']}, now {answer['promotion_state']}"
    return f"{answer['id']}: approved by {answer['approver']}; follow it with: shipline logs {answer['id']} --follow"


def _waiting(session: Session, which: str) -> str:
    """The promotion that an environment's name or `latest` stands for."""
    found = session.api.get(session.path("approvals"))
    found = [one for one in found if which in {"latest", one["environment"]}]
    if not found:
        place = "" if which == "latest" else f" in {which}"
        raise NotFoundError(f"deciding: nothing waits for a person{place}", hint="see: shipline status")
    if which != "latest" and len(found) > 1:
        raise ConfigurationError(
            f"deciding: {len(found)} promotions wait in {which}: {', '.join(one['id'] for one in found)}",
            hint="name one by its id",
        )
    return str(max(found, key=lambda one: one["requested_at"])["id"])


def _render(session: Session, found: list[Document]) -> None:
    if not found:
        session.say("nothing waits for a person")
    for one in found:
        for line in _lines(one):
            session.say(line)


def _lines(one: Document) -> Iterator[str]:
    until = f", until {moment(one['expires_at'])}" if one["expires_at"] else ""
    given = ", ".join(f"{each['approver']} ({each['evidence']})" for each in one["given"]) or "none"
    yield f"{one['environment']}: {one['id']}, since {moment(one['requested_at'])}{until}"
    yield f"  requires  {one['requires']} approval{'' if one['requires'] == 1 else 's'}, given: {given}"
    yield f"  release   {one['release']}"
    yield from (f"  artifact  {service} {digest}" for service, digest in one["digests"].items())
    yield from _change_lines(one["changes"])
    yield f"  approve with: shipline approve {one['id']}"
    if one["url"]:
        yield f"  or in the browser: {one['url']}"


def _change_lines(changes: Document) -> Iterator[str]:
    """Against what runs there now."""
    for service, commits in changes["commits"].items():
        yield from (f"  commit    {service} {plain(commit)}" for commit in commits)
    yield from (f"  config    {plain(line)}" for line in changes["configuration"])
    yield from (f"  goes      {plain(service)}" for service in changes["gone"])
