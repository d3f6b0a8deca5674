"""`shipline ledger`: the chain of entries, checked, rebuilt, taken out and brought in."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from delivery.errors import ConfigurationError
from shipline.cli.errors import FAILED
from shipline.cli.output import Document
from shipline.cli.session import Session

_MOST_HEADS = 1000


def verify(
    session: Session,
    *,
    head: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Heads that were published outside; each must be in the chain.")
    ] = None,
) -> None:
    """Check every entry of the chain; exit code 1 when one is edited, removed or out of order.

    With --head also a history is found out that was rewritten as a whole, by whoever owns the database.

    Example: shipline ledger verify --head /mnt/elsewhere/heads.jsonl
    """
    if head is None:
        _tell(session, session.api.get("/ledger/verify"))
    else:
        _tell(session, session.api.post("/ledger/verify", {"lines": _published(head)}))


def _published(file: Path) -> list[str]:
    """The newest lines, of a file that has one for each time."""
    try:
        lines = [line for line in file.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"reading {file}: {error}", hint="give a file of published heads") from None
    if not lines:
        raise ConfigurationError(f"reading {file}: there is no head in it", hint="give a file of published heads")
    return lines[-_MOST_HEADS:]


def rebuild(session: Session) -> None:
    """Make the projections anew from the entries.

    Example: shipline ledger rebuild
    """
    _tell(session, session.api.post("/ledger/rebuild"))


def reconcile(session: Session) -> None:
    """Append what Prefect's history knows and the ledger missed.

    Example: shipline ledger reconcile
    """
    _tell(session, session.api.post("/ledger/reconcile"))


def export(session: Session) -> None:
    """Write the project's entries as JSON Lines to standard output; with --json as one array.

    Example: shipline ledger export > entries.jsonl
    """
    pieces = session.api.download(session.path("ledger", "export"))
    sys.stdout.flush()
    for piece in _as_array(pieces) if session.as_json else pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def bring_in(
    session: Session, file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON Lines; - is standard input.")]
) -> None:
    """Bring in entries from JSON Lines, so that another system's history can be measured.

    Example: shipline ledger import entries.jsonl
    """
    path = session.path("ledger", "import")
    if str(file) == "-":
        _tell(session, session.api.upload(path, sys.stdin.buffer))
        return
    try:
        with file.open("rb") as content:
            _tell(session, session.api.upload(path, content))
    except OSError as error:
        raise ConfigurationError(f"reading {file}: {error.strerror}") from error


def _as_array(pieces: Iterable[bytes]) -> Iterable[bytes]:
    """JSON Lines as one JSON array, a line at a time."""
    rest, separator = b"", b"["
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in filter(None, lines):
            yield separator + line
            separator = b",\n"
    if rest:
        yield separator + rest
        separator = b",\n"
    yield b"[]\n" if separator == b"[" else b"]\n"


def _tell(session: Session, answer: Document) -> None:
    session.show(answer, lambda one: _render(session, one))
    if not answer["ok"]:
        raise typer.Exit(FAILED)


def _render(session: Session, answer: Document) -> None:
    counts = [f"{answer[name]} {name}" for name in ("rows", "appended", "skipped") if name in answer]
    session.say(", ".join(["ok" if answer["ok"] else "not ok", *counts]))
    for stream, head in (answer.get("head") or {}).items():
        session.say(f"{stream}: head {head['sequence']} {head['digest']}")
    for one in answer.get("broken") or ():
        session.say(f"{one['stream']}: entry {one['sequence']} is broken: {one['reason']}")
