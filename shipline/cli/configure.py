"""`shipline init`, `check`, `schema`: the file `shipline.yaml`; no control plane is needed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from delivery.errors import ConfigurationError, NotFoundError
from shipline.cli.errors import USAGE
from shipline.cli.output import Document
from shipline.cli.session import Session, work_tree

if TYPE_CHECKING:
    from delivery.config import Configuration

FILE = "shipline.yaml"
_READ_AT_MOST = 64_000_000
"""Bytes; what is longer than a configuration may be is refused by its size, without filling the memory."""


def init(session: Session) -> None:
    """Write a commented first `shipline.yaml` fitted to what stands in the work tree.

    Example: cd ~/src/shop && shipline init
    """
    from shipline.project_init import write

    top = _folder(session)
    made = write(top)
    document = {"path": str(top / FILE), "services": list(made.services), "steps": list(made.steps)}
    session.show(document, lambda one: _render_made(session, one))


def check(
    session: Session,
    revision: Annotated[
        str | None, typer.Argument(metavar="REV", help="Otherwise the file as it is in the work tree.")
    ] = None,
) -> None:
    """Validate the configuration and show every problem with its place.

    Example: shipline check --json
    """
    from delivery.config_reading import problems_as_text, read_configuration

    top = _folder(session)
    content = configuration_content(top, revision)
    try:
        _require_calendars(top, revision, read_configuration(content))
    except ConfigurationError as error:
        problems = error.problems
        if not problems:
            raise
        found = [{"where": one.where, "message": one.message, "hint": one.hint} for one in problems]
        words = f"{problems_as_text(problems)}\n{error.message}"
        session.show({"ok": False, "problems": found, "more": error.more}, lambda _: session.say(words))
        raise typer.Exit(USAGE) from None
    session.show({"ok": True, "problems": []}, lambda _: session.say(f"{FILE} is good"))


def _require_calendars(top: Path, revision: str | None, configuration: "Configuration") -> None:
    """ConfigurationError when a freeze window names a calendar that is not there."""
    from delivery.config_gate_checks import missing_calendars

    def is_there(path: str) -> bool:
        return (top / path).is_file() if revision is None else _at_revision(top, revision, path) is not None

    problems = missing_calendars(configuration, is_there)
    if problems:
        raise ConfigurationError(
            f"reading {FILE}: {problems[0].message}", hint=problems[0].hint, problems=tuple(problems)
        )


def schema(session: Session) -> None:
    """Print the JSON Schema (2020-12) of `shipline.yaml`.

    Example: shipline schema > shipline.schema.json
    """
    from delivery.config_schema import schema_text

    del session  # with --json or without, the schema is the one document
    print(schema_text(), end="")  # noqa: T201


def configuration_content(top: Path, revision: str | None) -> bytes:
    """The bytes of `shipline.yaml` in a work tree, or at one of its revisions."""
    content = _at_revision(top, revision) if revision else _in_work_tree(top / FILE)
    if content is None:
        place = f"{top} at {revision}" if revision else str(top)
        message = f"reading {FILE} of {place}: there is none"
        raise NotFoundError(message, hint="write one with: shipline init", where=f"{FILE}:1:1")
    return content


def _folder(session: Session) -> Path:
    return work_tree(Path(session.project) if session.project else Path.cwd())


def _in_work_tree(path: Path) -> bytes | None:
    if path.exists() and not (path.is_file() or path.is_dir()):
        message = f"reading {path}: it is a pipe or a device"
        raise ConfigurationError(message, hint="make it a file that you may read", where=f"{FILE}:1:1")
    try:
        with path.open("rb") as file:
            return file.read(_READ_AT_MOST)
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"reading {path}: {(error.strerror or str(error)).lower()}"
        raise ConfigurationError(message, hint="make it a file that you may read", where=f"{FILE}:1:1") from error


def _at_revision(top: Path, revision: str, path: str = FILE) -> bytes | None:
    from delivery.adapters.git import GitRepository
    from delivery.adapters.git.location import resolve

    return GitRepository(top, personal=True).read(resolve(top, revision), path)


def _render_made(session: Session, made: Document) -> None:
    session.say(f"wrote {made['path']}")
    session.say(f"services: {', '.join(made['services']) or 'none; nothing is deployed'}")
    session.say(f"steps: {', '.join(made['steps'])}")
    session.say("read it, commit it, then: shipline plan")
