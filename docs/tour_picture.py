"""The picture in the README: `shipline tour | python docs/tour_picture.py > docs/tour.svg` (`make picture`).

To be read in one look: each stage by its headline and time, then what runs in the end. Every word is the tour's own.
"""

import io
import re
import sys

from rich.console import Console
from rich.text import Text

_WIDTH = 106
"""Up to the addresses, which say nothing to a reader."""
_TIME = re.compile(r"   [\d.]+ s")
_STATUS = "   $ shipline status"
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""Fonts from somebody's server: the reader's own monospace one does."""


def main() -> None:
    """Read the tour's text, write the picture."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO())
    for line in shown(sys.stdin.read().strip().splitlines()):
        console.print(styled(line), overflow="crop", no_wrap=True)
    print(_FONTS.sub("", console.export_svg(title="shipline tour")), end="")  # noqa: T201  # its output


def shown(lines: list[str]) -> list[str]:
    """Headlines with their times, the status that was asked for last, and how it ended."""
    headlines = [line for line in lines if line[:1].isdigit()]
    times = [line.strip() for line in lines if _TIME.fullmatch(line)]
    stages = [f"{headline:<42}{time:>8}" for headline, time in zip(headlines, times, strict=True)]
    return [*stages, "", *_status(lines), "", lines[-1]]


def _status(lines: list[str]) -> list[str]:
    """The command and the table that it printed, up to the next command."""
    asked = lines.index(_STATUS)
    after = next(at for at in range(asked + 1, len(lines)) if lines[at].startswith("   $"))
    return lines[asked:after]


def styled(line: str) -> Text:
    """Headlines bold, the command blue."""
    if line.startswith("every"):
        return Text(line, style="bold green")
    if line[:1].isdigit():
        return Text(line, style="bold")
    return Text(line, style="cyan" if line.startswith("   $") else "")


if __name__ == "__main__":
    main()
