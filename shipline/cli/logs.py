"""`shipline logs`: the output of a run's steps and builds, or of a promotion."""

import time
from collections.abc import Callable
from typing import Annotated, Protocol

import typer

from shipline.cli.client import segments
from shipline.cli.errors import ApiError, complain
from shipline.cli.follow import Log, patiently
from shipline.cli.session import Session

_POLL_SECONDS = 0.3
_Tell = Callable[[str], None]


class _Look(Protocol):
    """Tells what is new, at the last look also a line without an end; whether nothing is added any more."""

    def __call__(self, *, last: bool) -> bool: ...


def logs(
    session: Session,
    identity: Annotated[str, typer.Argument(metavar="RUN", help="The id of a run or promotion.")],
    *,
    step: Annotated[
        str | None, typer.Option(metavar="NAME[@SERVICE]", help="Only this step; of a build: build:SERVICE.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends.")] = False,
) -> None:
    """Show logs, also after everything that made them is gone; of a whole run, each line under its step's name.

    Example: shipline logs 0198c1f2-7e0a-7bbb-8f00-2f6a5b1c9d3e --step unit@api --follow
    """
    kept: list[str] = []
    told: list[bool] = []
    write = kept.append if session.as_json else session.say

    def tell(line: str) -> None:
        told[:] = [True]
        write(line)

    whole_run = step is None and _is_run(session, identity)
    look = _at_whole_run(session, identity, tell) if whole_run else _at_one(session, identity, step, tell)
    while follow and not look(last=False):
        time.sleep(_POLL_SECONDS)
    look(last=True)
    if not told:
        complain("nothing was printed so far")
    session.show({"id": identity, "step": step, "lines": kept}, lambda _: None)


def _is_run(session: Session, identity: str) -> bool:
    try:
        session.api.get(segments("runs", identity))
    except ApiError as error:
        if error.status != 404:  # noqa: PLR2004  # HTTP's Not Found
            raise
        return False
    return True


def _at_one(session: Session, identity: str, step: str | None, tell: _Tell) -> _Look:
    log = Log(session, identity, step, absent_is_empty=False)

    def look(*, last: bool) -> bool:
        log.tell(tell, "", ended=last)
        return log.finished

    return look


def _at_whole_run(session: Session, run: str, tell: _Tell) -> _Look:
    """Each look asks for the run first, and then only for the logs that grew."""
    logs: dict[str, Log] = {}

    def look(*, last: bool) -> bool:
        document = patiently(session, lambda: session.api.get(segments("runs", run)))
        for one in document["logs"]:
            log = logs.setdefault(one["name"], Log(session, run, one["name"]))
            if last or log.offset < one["bytes"]:
                log.tell(tell, one["name"], ended=last)
        ended: bool = document["finished_at"] is not None
        return ended

    return look
