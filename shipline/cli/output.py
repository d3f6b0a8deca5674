"""What people read: tables, short names, times. JSON for programs."""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

Document = dict[str, Any]
_SHORT = 12
_THOUSAND = 1000

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_PLAIN_AGAIN = "\x1b[0m"
_ESCAPES = re.compile(r"(\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.)")
"""Sequences that begin with ESC: colours and cursors, titles and links, and the rest."""


def emit(document: Any) -> None:  # noqa: ANN401  # any JSON value
    """Print the one JSON document of a command; ASCII, so that no locale can spoil it."""
    print(json.dumps(document, indent=2), flush=True)  # noqa: T201  # standard output is the contract


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table as wide as its content, folded only on a terminal that is narrower."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(_styled(Text(plain(cell))) for cell in row))
    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else 1000
    console = Console(width=width, highlight=False, markup=False, soft_wrap=False)
    with console.capture() as captured:
        console.print(made)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()), flush=True)  # noqa: T201


def plain(value: object) -> str:
    """A value in a table; nothing for what is not known, and no control characters from outside."""
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else " " for character in text)


def for_terminal(text: str) -> str:
    """What a step printed, with its colours, and without what else would change a terminal or hide text from it."""
    kept = "".join(piece if _COLOUR.fullmatch(piece) else _harmless(piece) for piece in _ESCAPES.split(text))
    return kept + _PLAIN_AGAIN if _COLOUR.search(kept) and not kept.endswith(_PLAIN_AGAIN) else kept


def _harmless(text: str) -> str:
    if _ESCAPES.fullmatch(text):
        return ""
    return "".join(one if one in "\t\n" or one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def short(digest_or_commit: object) -> str:
    """Enough of a digest or commit for people to tell it from others."""
    text = plain(digest_or_commit)
    return text.removeprefix("sha256:")[:_SHORT]


def standing_lines(document: Document) -> Iterator[str]:
    """Since when something waits, until when at least, and what would let it go on; what is not known is left out."""
    known = {name: document.get(name) for name in ("since", "until")}
    times = ", ".join(f"{name} {moment(value)}" for name, value in known.items() if value)
    if times:
        yield f"waits {times}"
    if document.get("unblocked_by"):
        yield f"unblocked by {plain(document['unblocked_by'])}"


def moment(text: object) -> str:
    """A time of the API to the second: `2026-03-01T12:00:00Z`."""
    whole, dot, rest = plain(text).partition(".")
    return f"{whole}Z" if dot and rest.endswith(("Z", "+00:00")) else whole.replace("+00:00", "Z")


def duration(seconds: object) -> str:
    """`0.4 s`, `1 min 20 s`, `3 h 5 min`, `2 d 4 h`."""
    if not isinstance(seconds, int | float):
        return ""
    if round(seconds, 1) < 60:  # noqa: PLR2004  # a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days} d {hours_left} h"
    return f"{hours} h {minutes_left} min" if hours else f"{minutes} min {rest} s"


def amount(size: float) -> str:
    """`0 B`, `1.5 MB`, `2.0 GB`."""
    unit = "B"
    for bigger in ("kB", "MB", "GB", "TB"):
        if size < _THOUSAND:
            break
        size, unit = size / _THOUSAND, bigger
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"


def joined(values: Iterable[object] | None) -> str:
    """Reasons in one cell."""
    return "; ".join(plain(value) for value in values or ())


_STYLES = {
    "Completed": "green",
    "Succeeded": "green",
    "Cached": "green",
    "healthy": "green",
    "Failed": "red",
    "Errored": "red",
    "down": "red",
    "degraded": "red",
    "Refused": "yellow",
    "Waiting": "yellow",
}


def _styled(text: Any) -> Any:  # noqa: ANN401  # rich is imported only where a table is printed
    text.stylize(_STYLES.get(text.plain, ""))
    return text
