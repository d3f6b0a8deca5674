"""What is told while something runs: lines, and on a terminal the steps under way below them."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shipline.cli.output import Document, duration
from shipline.cli.session import Session

if TYPE_CHECKING:
    from rich.live import Live


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

        self._live.console.print(Text.from_ansi(text), soft_wrap=True)

    def show_steps(self, steps: list[Document]) -> None:
        """The steps that run now, and how long already."""
        from rich.text import Text

        running = [step for step in steps if step["state"] == "Running"]
        waiting = sum(step["state"] in {"Pending", "Queued"} for step in steps)
        rows = [f"  {_name(step)}  {duration(self._running_for(_name(step)))}" for step in running]
        rows += [f"  {waiting} more to come"] if waiting else []
        self._live.update(Text("\n".join(rows)), refresh=True)

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


def _name(step: Document) -> str:
    return f"{step['name']}@{step['service']}" if step.get("service") else str(step["name"])
