"""`shipline approvals`, `approve`, `reject`: people's decisions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from delivery.errors import ConfigurationError, NotFoundError
from shipline.cli.client import segments
from shipline.cli.errors import complain
from shipline.cli.output import Document, moment, plain, standing_lines
from shipline.cli.session import Session

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Which = Annotated[
    str, typer.Argument(metavar="ID|ENV|latest", help="The promotion, the environment it goes into, or the newest.")
]
Comment = Annotated[str | None, typer.Option(metavar="TEXT", help="Recorded with the decision.")]
Person = Annotated[str | None, typer.Option(metavar="NAME", help="Who decides, where the policy lets you say so.")]
Code = Annotated[str | None, typer.Option(metavar="CODE", help="Prove it by a one-time code.")]
Sign = Annotated[bool, typer.Option("--sign", help="Prove it by a signature with your SSH key.")]
Key = Annotated[Path | None, typer.Option(metavar="FILE", help="The key to sign with; otherwise one that is enrolled.")]


def approvals(session: Session) -> None:
    """Show what waits for a person, and for whom.

    Example: shipline approvals
    """
    session.show(session.api.get(session.path("approvals")), lambda found: _render(session, found))


def approve(
    session: Session,
    which: Which,
    *,
    comment: Comment = None,
    person: Person = None,
    code: Code = None,
    sign: Sign = False,
    key: Key = None,
) -> None:
    """Say yes to a promotion; returns once that is recorded.

    Where the policy wants a signature it is made with your SSH key, which your agent or a hardware key may hold.

    Example: shipline approve staging --comment "seen in dev"
    """
    decision = {"decision": "approve", "comment": comment, "person": person, "code": code}
    _decide(session, which, decision, Signing(sign or key is not None, key))


def reject(
    session: Session,
    which: Which,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded.")],
    person: Person = None,
    code: Code = None,
    sign: Sign = False,
    key: Key = None,
) -> None:
    """Say no to a promotion; it ends Refused.

    Example: shipline reject latest --reason "not before Monday"
    """
    decision = {"decision": "reject", "comment": reason, "person": person, "code": code}
    _decide(session, which, decision, Signing(sign or key is not None, key))


@dataclass(frozen=True, slots=True)
class Signing:
    """Whether to sign in any case, and with which key."""

    wanted: bool
    key: Path | None


def _decide(session: Session, which: str, decision: Document, signing: Signing) -> None:
    identity = which if _UUID.fullmatch(which) else _waiting(session, which)
    given = {name: value for name, value in decision.items() if value is not None}
    if signing.wanted or ("code" not in given and _wants_signature(session, identity)):
        given |= _signed(session, identity, given, signing.key)
    answer = session.api.post(segments("promotions", identity, "decision"), given)
    session.show(answer, lambda one: session.say(_decided(one)))


def _wants_signature(session: Session, identity: str) -> bool:
    """Whether the policy takes a signature, and not the token with which this asks."""
    evidence = session.api.get(segments("promotions", identity)).get("evidence") or []
    return "ssh-signature" in evidence and not {"none", "api-token"} & {*evidence}


def _signed(session: Session, identity: str, given: Document, key: Path | None) -> Document:
    """The statement and its signature; what is signed is shown first."""
    from shipline.cli.signing import find_signer, sign

    signer = find_signer(session.api.get("/people"), given.get("person"), key)
    asked = {"person": signer.person, "decision": given["decision"], "comment": given.get("comment") or ""}
    made = session.api.post(segments("promotions", identity, "statement"), asked)
    complain(f"signing as {signer.person} with {signer.key}: {made['statement']}")
    signature = sign(made["statement"], made["namespace"], signer.key)
    return {"person": signer.person, "statement": made["statement"], "signature": signature}


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
    yield from _rule_lines(one)
    yield f"  release   {one['release']}"
    yield from (f"  artifact  {service} {digest}" for service, digest in one["digests"].items())
    yield from _change_lines(one["changes"])
    if one.get("because"):
        yield f"  because   {plain(one['because'])}"
    yield from (f"  {line}" for line in standing_lines(one))
    yield f"  approve with: shipline approve {one['id']}"
    if one["url"]:
        yield f"  or in the browser: {one['url']}"


def _rule_lines(one: Document) -> Iterator[str]:
    """Who can say yes, and how, as far as not everybody can in every way."""
    if one["roles"]:
        yield f"  of them   {', '.join(f'{number} {role}' for role, number in one['roles'].items())}"
    if one["not_by"]:
        yield f"  not by    {' or '.join(one['not_by'])}"
    if "none" not in one["evidence"]:
        yield f"  proven by {' or '.join(one['evidence'])}"
    if one["can_approve"]:
        yield f"  can       {', '.join(one['can_approve'])}"


def _change_lines(changes: Document) -> Iterator[str]:
    """Against what runs there now."""
    for service, commits in changes["commits"].items():
        yield from (f"  commit    {service} {plain(commit)}" for commit in commits)
    yield from (f"  config    {plain(line)}" for line in changes["configuration"])
    yield from (f"  goes      {plain(service)}" for service in changes["gone"])
