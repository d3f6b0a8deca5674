"""`shipline secret`: values that a configuration names and never shows."""

import sys
from typing import Annotated

import typer

from delivery.errors import ConfigurationError
from shipline.cli.output import Document, moment, table
from shipline.cli.session import Session

Name = Annotated[str, typer.Argument(metavar="NAME", help="As in `secret:NAME`.")]
Environment = Annotated[str | None, typer.Option(metavar="ENV", help="Only there; otherwise the whole project.")]
_MAXIMUM_BYTES = 65_536


def put(
    session: Session,
    name: Name,
    *,
    env: Environment = None,
    expires: Annotated[str | None, typer.Option(metavar="TIME", help="RFC 3339; not given out after it.")] = None,
) -> None:
    """Set a secret from standard input, or from a hidden prompt on a terminal.

    One line end after the value is not part of it.

    Example: printf %s "$TOKEN" | shipline secret set TOKEN --env staging
    """
    value = _read_value(name)
    body = {"value": value, "environment": env} | ({"expires_at": expires} if expires else {})
    session.api.put(session.path("secrets", name), body)
    session.show(_listed(session), lambda _: session.say(f"{name} is set for {_scope(session, env)}"))


def show(session: Session) -> None:
    """List the secrets' names, owners, expiry and last use; never a value.

    Example: shipline secret list
    """
    session.show(_listed(session), _render)


def remove(session: Session, name: Name, *, env: Environment = None) -> None:
    """Remove a secret.

    Example: shipline secret remove TOKEN --env staging
    """
    session.api.delete(session.path("secrets", name), {"environment": env})
    session.show(_listed(session), lambda _: session.say(f"{name} is removed from {_scope(session, env)}"))


def _read_value(name: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(f"Value of {name}", hide_input=True, err=True))
    content = sys.stdin.buffer.read(_MAXIMUM_BYTES + 3)
    try:
        return content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigurationError(f"setting secret {name}: its value is not UTF-8", hint="encode it first") from None


def _listed(session: Session) -> list[Document]:
    found: list[Document] = session.api.get(session.path("secrets"))
    return found


def _scope(session: Session, environment: str | None) -> str:
    return f"{session.slug}/{environment}" if environment else session.slug


def _render(found: list[Document]) -> None:
    rows = [
        (one["name"], one["scope"], one["owner"], moment(one["expires_at"]), moment(one["last_used_at"]))
        for one in found
    ]
    table(("SECRET", "SCOPE", "OWNER", "EXPIRES", "LAST USED"), rows)
