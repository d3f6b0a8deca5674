"""What is told while something runs: lines, and on a terminal the steps under way below them."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shipline.cli.output import Document, duration, for_terminal
from shipline.cli.session import Session

if TYPE_CHECKING:
    from rich.live import Live


_BAR_WIDTH = 24


class Feed:
    """Plain lines, for pipes and logs."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def line(self, text: str) -> None:
        """One line of a step's output or about its state."""
        self._session.say(text)

    def show_steps(self, steps: list[Document]) -> None:
        """A plain feed has told every start and end."""


class LiveFeed(Feed):
    """Lines scroll by above the steps that run now."""

    def __init__(self, session: Session, live: "Live") -> None:
        super().__init__(session)
        self._live = live
        self._since: dict[str, float] = {}

    def line(self, text: str) -> None:
        """One line, above the steps that run."""
        from rich.text import Text

        self._live.console.print(Text.from_ansi(for_terminal(text)), soft_wrap=True)

    def show_steps(self, steps: list[Document]) -> None:
        """The steps that run now, how long already, and how much of what they took lately."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        rows = Table.grid(padding=(0, 2))
        for step in (one for one in steps if one["state"] == "Running"):
            seconds, expected = self._running_for(_name(step)), step.get("expected_seconds")
            bar = ProgressBar(total=expected, completed=seconds, width=_BAR_WIDTH) if expected else ""
            rows.add_row(Text(f"  {_name(step)}"), bar, Text(elapsed(seconds, expected)))
        waiting = sum(step["state"] in {"Pending", "Queued"} for step in steps)
        if waiting:
            rows.add_row(Text(f"  {waiting} more to come"))
        self._live.update(rows, refresh=True)

    def _running_for(self, name: str) -> float:
        return time.monotonic() - self._since.setdefault(name, time.monotonic())


@contextmanager
def feed(session: Session) -> Iterator[Feed]:
    """The live one where a person watches, the plain one elsewhere."""
    if session.as_json or not sys.stdout.isatty():
        yield Feed(session)
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(highlight=False, markup=False, emoji=False), transient=True) as live:
        yield LiveFeed(session, live)


def elapsed(seconds: float, expected: float | None) -> str:
    """`3.1 s of about 12.0 s`; nothing is expected of what runs longer than ever, or for the first time."""
    over = not expected or seconds > expected
    return duration(seconds) if over else f"{duration(seconds)} of about {duration(expected)}"


def _name(step: Document) -> str:
    return f"{step['name']}@{step['service']}" if step.get("service") else str(step["name"])
