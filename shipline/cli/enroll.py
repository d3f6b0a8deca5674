"""`shipline people enroll`, `withdraw`, `token`, `delegate`: how people prove who they are, and what they lend."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from delivery.errors import ConfigurationError
from shipline.cli.client import segments
from shipline.cli.output import moment
from shipline.cli.people import Name
from shipline.cli.session import Session


def enroll(
    session: Session,
    name: Name,
    *,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="A public key: ~/.ssh/id_ed25519.pub.")] = None,
    code: Annotated[bool, typer.Option("--code", help="One-time codes of an authenticator.")] = False,
    confirm: Annotated[str | None, typer.Option(metavar="CODE", help="The code that it shows now.")] = None,
) -> None:
    """Enroll a key or an authenticator, with which a person proves from now on who approves.

    For one-time codes it shows a QR code, and asks for the first code; without a terminal give that with --confirm.

    Example: shipline people enroll alice --key ~/.ssh/id_ed25519.pub
    """
    if key is not None:
        made = session.api.post(segments("people", name, "keys"), {"line": _line(key)})
        session.show(made, lambda one: session.say(f"{name} signs with {one['fingerprint']} from now on"))
    elif confirm:
        _confirm(session, name, confirm)
    elif code:
        _begin(session, name)
    else:
        raise ConfigurationError(f"enrolling {name}: with what?", hint="give --key FILE or --code")


def withdraw(
    session: Session,
    name: Name,
    *,
    key: Annotated[str | None, typer.Option(metavar="FINGERPRINT", help="This key.")] = None,
    code: Annotated[bool, typer.Option("--code", help="Their one-time codes.")] = False,
    token: Annotated[str | None, typer.Option(metavar="ID", help="This token.")] = None,
    delegation: Annotated[str | None, typer.Option(metavar="ID", help="What they lend by this one.")] = None,
) -> None:
    """Withdraw a key, one-time codes, a token or a delegation.

    Example: shipline people withdraw alice --token 0198c0de-0000-7000-8000-000000000000
    """
    person = ("people", name)
    if key:
        gone = session.api.delete(segments(*person, "keys"), {"fingerprint": key})
    elif code:
        gone = session.api.delete(segments(*person, "code"))
    elif token:
        gone = session.api.delete(segments(*person, "tokens", token))
    elif delegation:
        gone = session.api.delete(segments(*person, "delegations", delegation))
    else:
        raise ConfigurationError(f"withdrawing of {name}: what?", hint="give --key, --code, --token or --delegation")
    session.show(gone, lambda _: session.say(f"withdrawn from {name}"))


def token(
    session: Session,
    name: Name,
    *,
    role: Annotated[list[str] | None, typer.Option(metavar="ROLE", help="No more than this role of theirs.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="TIME", help="RFC 3339; it opens nothing after it.")] = None,
) -> None:
    """Issue an API token; it is printed once and kept as a hash only.

    Example: shipline people token chatbot --role approver --expires 2027-01-01T00:00:00Z
    """
    body = {"roles": role or []} | ({"expires_at": expires} if expires else {})
    session.show(session.api.post(segments("people", name, "tokens"), body), lambda one: session.say(one["token"]))


def delegate(
    session: Session,
    name: Name,
    *,
    to: Annotated[str, typer.Option(metavar="NAME", help="Who may use their roles too.")],
    until: Annotated[str, typer.Option(metavar="TIME", help="RFC 3339; it ends then.")],
) -> None:
    """Lend a person's roles to another one until a time.

    Example: shipline people delegate alice --to bob --until 2027-01-07T08:00:00Z
    """
    made = session.api.post(segments("people", name, "delegations"), {"taker": to, "until": until})
    session.show(made, lambda one: session.say(f"{to} may use {name}'s roles until {moment(until)}: {one['id']}"))


def _begin(session: Session, name: str) -> None:
    """The QR code goes to a terminal only; a program reads the address."""
    begun = session.api.post(segments("people", name, "code"))
    if session.as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        hint = f"shipline people enroll {name} --confirm CODE"
        session.show(begun, lambda one: session.say(f"{one['uri']}\nthen: {hint}"))
        return
    import segno

    segno.make(begun["uri"], error="m").terminal(compact=True)
    session.say(f"scan this with an authenticator, or give it: {begun['uri']}")
    _confirm(session, name, str(typer.prompt("The code that it shows", err=True)))


def _confirm(session: Session, name: str, code: str) -> None:
    done = session.api.post(segments("people", name, "code", "confirm"), {"code": code})
    session.show(done, lambda _: session.say(f"{name} approves with one-time codes from now on"))


def _line(path: Path) -> str:
    """The public key; a private one never leaves this machine, not even by mistake."""
    try:
        text = path.expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"reading the key {path}: {error}", hint="give a .pub file") from None
    if "PRIVATE KEY" in text:
        raise ConfigurationError(f"reading the key {path}: that is the private key", hint=f"give {path}.pub")
    return text.strip()
