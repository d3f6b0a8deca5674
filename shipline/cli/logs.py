"""`shipline logs`: the output of a run's steps or of a promotion."""

import time
from typing import Annotated

import typer

from shipline.cli.follow import Log
from shipline.cli.session import Session

_POLL_SECONDS = 0.3


def logs(
    session: Session,
    identity: Annotated[str, typer.Argument(metavar="RUN", help="The id of a run or promotion.")],
    *,
    step: Annotated[str | None, typer.Option(metavar="NAME[@SERVICE]", help="Only this step.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends.")] = False,
) -> None:
    """Show logs, also after everything that made them is gone.

    Example: shipline logs 0198c1f2-7e0a-7bbb-8f00-2f6a5b1c9d3e --step unit@api --follow
    """
    log = Log(session, identity, step, absent_is_empty=False)
    kept: list[str] = []
    tell = kept.append if session.as_json else session.say
    log.tell(tell, "", ended=not follow)
    while follow and not log.finished:
        time.sleep(_POLL_SECONDS)
        log.tell(tell, "")
    log.tell(tell, "", ended=True)
    session.show({"id": identity, "step": step, "lines": kept}, lambda _: None)
