"""`shipline check-result`: what another system found out about a revision or a release."""

from typing import Annotated

import typer

from shipline.cli.output import Document, short
from shipline.cli.session import Session

_RESULTS = ("passed", "failed")


def check_result(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the check, as the environment's policy names it.")],
    result: Annotated[str, typer.Argument(metavar="passed|failed", help="How it went.")],
    *,
    revision: Annotated[str | None, typer.Option(metavar="REV", help="The revision that was checked.")] = None,
    release: Annotated[str | None, typer.Option(metavar="ID", help="Or the release that was.")] = None,
    url: Annotated[str | None, typer.Option(metavar="URL", help="A page about it, for people.")] = None,
    summary: Annotated[str | None, typer.Option(metavar="TEXT", help="In a sentence; it is recorded.")] = None,
) -> None:
    """Report the result of a check; promotions that wait for it look again.

    Example: shipline check-result load-test passed --revision main --summary "p95 120 ms"
    """
    if result not in _RESULTS:
        raise typer.BadParameter(f"{result} is neither passed nor failed", param_hint="'passed|failed'")
    if (revision is None) == (release is None):
        raise typer.BadParameter("give either --revision or --release")
    given = {"revision": revision, "release": release, "url": url, "summary": summary}
    body = {"name": name, "result": result, **{key: value for key, value in given.items() if value is not None}}
    answer = session.api.post(session.path("checks"), body)
    session.show(answer, lambda one: session.say(_told(one)))


def _told(answer: Document) -> str:
    woken = f"; looking again: {', '.join(answer['woken'])}" if answer["woken"] else ""
    return f"{answer['name']}: {answer['result']} for {answer['of']} {short(answer['subject'])}{woken}"
