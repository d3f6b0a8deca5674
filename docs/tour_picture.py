"""The picture in the README: `shipline tour | python docs/tour_picture.py > docs/tour.svg` (`make picture`).

Every line is the tour's own; the long middle of its last table is left out.
"""

import io
import re
import sys

from rich.console import Console
from rich.text import Text

_WIDTH = 112
_LAST_STAGE = "10. "
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""Fonts from somebody's server: the reader's own monospace one does."""
_OF_THE_LAST = ("ledger:", "every claim held")


def main() -> None:
    """Read the tour's text, write the picture."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO())
    for line in shown(sys.stdin.read().strip().splitlines()):
        console.print(styled(line), overflow="ellipsis", no_wrap=True)
    print(_FONTS.sub("", console.export_svg(title="shipline tour")), end="")  # noqa: T201  # its output


def shown(lines: list[str]) -> list[str]:
    """All of it up to the last stage, and of that how it ended."""
    last = next(at for at, line in enumerate(lines) if line.startswith(_LAST_STAGE))
    return lines[: last + 1] + [line for line in lines[last:] if line.strip().startswith(_OF_THE_LAST)]


def styled(line: str) -> Text:
    """Headlines bold, commands blue, times dim."""
    if line[:1].isdigit() or line.startswith("every"):
        return Text(line, style="bold green" if line.startswith("every") else "bold")
    if line.strip().startswith("$"):
        return Text(line, style="cyan")
    return Text(line, style="dim" if line.strip().endswith(" s") and len(line.split()) == 2 else "")  # noqa: PLR2004  # a number and its unit


if __name__ == "__main__":
    main()
