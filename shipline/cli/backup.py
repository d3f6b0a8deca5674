"""`shipline backup` and `restore`: an installation as one file, and from one file."""

from pathlib import Path
from typing import Annotated

import typer

from delivery.errors import ConfigurationError
from shipline.cli.errors import FAILED
from shipline.cli.output import Document, amount, duration
from shipline.cli.session import Session

_KEEP = "it holds the keys of this installation, and what they open: keep it as you keep a key"


def backup(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file to write.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Copy the whole installation of this home into one file, while it works: databases, artifacts, secrets, logs.

    The file opens everything that this installation may do: it is for its owner only, and has to be kept like a key.

    Example: shipline backup /var/backups/monday.tar.gz
    """
    from delivery.backup import streams_document
    from shipline.control.backing_up import back_up
    from shipline.control.settings import ControlSettings

    place = _named(path, "writing a backup")
    done = back_up(session.home, ControlSettings.from_environment(), place, force=force, say=session.say)
    document = {
        "path": str(done.path),
        "bytes": done.bytes,
        "seconds": done.seconds,
        "streams": streams_document(done.streams),
        "secrets_of": list(done.projects),
    }
    session.show(document, lambda one: _render_backup(session, one))


def restore(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A file that `shipline backup` wrote.")],
) -> None:
    """Make an installation from a backup, in an empty home; exit code 1 when its ledger does not hold.

    Stop the installation that it is a copy of first, with --environments: both would deploy to the same ports.

    Example: SHIPLINE_HOME=/srv/shipline shipline restore /var/backups/monday.tar.gz
    """
    from shipline.control.restoring import restore as make
    from shipline.control.settings import ControlSettings

    place = _named(path, "restoring a backup")
    document = make(session.home, ControlSettings.from_environment(), place, session.say)
    session.show(document, lambda one: _render_restore(session, one))
    if not document["ok"]:
        raise typer.Exit(FAILED)


def _named(path: Path, doing: str) -> Path:
    if str(path) == "-":
        raise ConfigurationError(f"{doing}: standard input and output are not supported", hint="name a file")
    return path.expanduser().absolute()


def _render_backup(session: Session, made: Document) -> None:
    session.say(f"wrote {made['path']}: {amount(made['bytes'])} in {duration(made['seconds'])}")
    whose = ", ".join(made["secrets_of"])
    session.say(f"{_KEEP}{f'; secrets of {whose}' if whose else ''}")


def _render_restore(session: Session, made: Document) -> None:
    for one in made["broken"]:
        session.say(f"{one['stream']}: entry {one['sequence']} is broken: {one['reason']}")
    for note in made["notes"]:
        session.say(note)
    session.say(f"restored {made['home']} as it was at {made['made_at']}, in {duration(made['seconds'])}")
    session.say("what happened after that is not in it; the installation that it is a copy of must not run any more")
    session.say("next: shipline up")
