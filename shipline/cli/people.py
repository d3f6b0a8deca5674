"""`shipline people`: who this control plane knows, and what they may do."""

from typing import Annotated

import typer

from delivery.errors import ConfigurationError
from shipline.cli.client import segments
from shipline.cli.output import Document, moment, table
from shipline.cli.session import Session

Name = Annotated[str, typer.Argument(metavar="NAME", help="The person, as approvals name them.")]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", metavar="ROLE", help="viewer, developer, approver, release-manager, admin, or your own."),
]
Emails = Annotated[
    list[str] | None, typer.Option("--email", metavar="ADDRESS", help="Known from commits; give all of them.")
]
Logins = Annotated[list[str] | None, typer.Option("--login", metavar="FORGE:LOGIN", help="Like github:alice.")]


def show(session: Session) -> None:
    """List people with their roles and how they prove who they are.

    Example: shipline people list
    """
    session.show(session.api.get("/people"), _render)


def add(session: Session, name: Name, *, role: Roles = None, email: Emails = None, login: Logins = None) -> None:
    """Add a person; without a role a viewer.

    Example: shipline people add alice --role approver --email alice@example.org
    """
    body = {"name": name, "roles": role or [], "emails": email or [], "logins": login or []}
    session.show(session.api.post("/people", body), lambda one: _render([one]))


def remove(session: Session, name: Name) -> None:
    """Remove a person, with tokens, keys and codes; what they did stays theirs.

    Example: shipline people remove alice
    """
    session.show(session.api.delete(segments("people", name)), lambda _: session.say(f"{name} is removed"))


def role(
    session: Session,
    name: Name,
    *,
    add: Annotated[list[str] | None, typer.Option(metavar="ROLE", help="Give this role.")] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="ROLE", help="Take this role away.")] = None,
) -> None:
    """Give roles to a person, or take them away.

    Example: shipline people role alice --add release-manager --remove viewer
    """
    has = session.api.get(segments("people", name))["roles"]
    roles = sorted({*has, *(add or ())} - {*(remove or ())})
    session.show(session.api.patch(segments("people", name), {"roles": roles}), lambda one: _render([one]))


def change(session: Session, name: Name, *, email: Emails = None, login: Logins = None) -> None:
    """Add addresses and logins by which a person's commits are known.

    Example: shipline people change alice --email alice@home.example --login github:alice
    """
    if not email and not login:
        raise ConfigurationError(f"changing {name}: nothing is to change", hint="give --email or --login")
    has = session.api.get(segments("people", name))
    body = {"emails": [*has["emails"], *(email or ())], "logins": [*has["logins"], *(login or ())]}
    session.show(session.api.patch(segments("people", name), body), lambda one: _render([one]))


def history(session: Session, name: Name) -> None:
    """Show what was ever changed about a person, and by whom.

    Example: shipline people history alice
    """
    found = session.api.get(segments("people", name))["history"]
    session.show(found, _render_history)


def signers(session: Session) -> None:
    """Print an allowed-signers file, with which `ssh-keygen -Y verify` checks approvals without Shipline.

    Example: shipline people signers > allowed_signers
    """
    text = b"".join(session.api.download("/people/signers")).decode()
    session.show({"allowed_signers": text}, lambda _: session.say(text.rstrip()))


def _render(people: list[Document]) -> None:
    rows = [(one["name"], ", ".join(one["roles"]), ", ".join(one["emails"]), _evidence(one)) for one in people]
    table(("PERSON", "ROLES", "E-MAIL", "PROVES IT BY"), rows)


def _evidence(one: Document) -> str:
    known = [
        *(["one-time code"] if one["code"] else []),
        *(f"key {key['fingerprint']}" for key in one["keys"]),
        *(f"token {token['id']}" for token in one["tokens"]),
    ]
    return ", ".join(known) or "nothing yet"


def _render_history(found: list[Document]) -> None:
    told = ({name: value for name, value in one.items() if name not in {"at", "kind", "by"}} for one in found)
    said = ["; ".join(f"{name}: {value}" for name, value in each.items() if value) for each in told]
    rows = [(moment(one["at"]), one["kind"], one["by"], text) for one, text in zip(found, said, strict=True)]
    table(("WHEN", "WHAT", "BY", ""), rows)
