"""`shipline evidence`: what proves that something may run where it runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from delivery.errors import ConfigurationError
from shipline.cli.output import Document, moment
from shipline.cli.session import Session


def evidence(
    session: Session,
    what: Annotated[str, typer.Argument(metavar="DIGEST|ID", help="An artifact, a release, or a promotion.")],
    *,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write statements, signatures and allowed signers there.")
    ] = None,
) -> None:
    """Show where something came from, who approved it and where it was verified.

    What is saved can be checked without Shipline, by the `ssh-keygen` command that is printed for each approval.

    Example: shipline evidence sha256:4bc65e746f12c5a648ada4edb65472b1607ff5926cd6d0139329cbe72e79210d --save proof
    """
    found = session.api.get(session.path("evidence", what))
    commands = list(_saved(session, found, save)) if save else []
    session.show(found, lambda one: _render(session, one, commands))


def _saved(session: Session, found: Document, folder: Path) -> Iterator[str]:
    """Files of every signed decision; the commands that check them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "allowed_signers").write_bytes(b"".join(session.api.download("/people/signers")))
        for one in _signed(found):
            statement = folder / f"{one['id']}.json"
            statement.write_text(one["statement"])
            statement.with_suffix(".json.sig").write_text(one["signature"])
            yield (
                f"ssh-keygen -Y verify -f {folder}/allowed_signers -I {one['approver']} -n shipline-approval"
                f" -s {statement}.sig < {statement}"
            )
    except OSError as error:
        raise ConfigurationError(f"saving evidence in {folder}: {(error.strerror or str(error)).lower()}") from None


def _signed(found: Document) -> Iterator[Document]:
    for promotion in found["promotions"]:
        yield from (one for one in promotion["approvals"] if one["signature"])


def _render(session: Session, found: Document, commands: list[str]) -> None:
    for line in _lines(found):
        session.say(line)
    for command in commands:
        session.say(f"check with: {command}")


def _lines(found: Document) -> Iterator[str]:
    for one in found["artifacts"]:
        yield f"artifact {one['service']} {one['digest']}"
        yield f"  built from {one['revision']} by run {one['run']}, {moment(one['built_at'])}"
        yield from _unprotected(one, "its build")
    for one in found["releases"]:
        yield f"release {one['digest']}, version {one['version']}, of {one['revision']}"
        yield from _unprotected(one, "a step or build of it")
    for one in found["promotions"]:
        since = f", live from {moment(one['live_from'])}" if one["live_from"] else ""
        yield f"promotion {one['id']} to {one['environment']}: {one['state']}{since}, policy {one['policy_version']}"
        for each in one["approvals"]:
            key = f" {each['key']}" if each["key"] else ""
            yield f"  {each['decision']} by {each['approver']} ({each['evidence']}{key}), {moment(each['at'])}"
    for one in found["verified"]:
        revoked = f", revoked: {one['revoked_because']}" if one["revoked_at"] else ""
        yield f"verified in {one['environment']}, {moment(one['verified_at'])}{revoked}"


def _unprotected(one: Document, what: str) -> Iterator[str]:
    if one.get("unprotected"):
        yield f"  unprotected: {what} could see or change more than it was given"
