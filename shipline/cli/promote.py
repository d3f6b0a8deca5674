"""`shipline promote`, `rollback`, `retry`, `abort`, `hold`, `unhold`: what runs where."""

import uuid
from typing import Annotated

import typer

from delivery.errors import NotFoundError
from shipline.cli.client import segments
from shipline.cli.errors import ApiError
from shipline.cli.follow import Patience, follow_promotion, tell_how_to_follow
from shipline.cli.output import Document, joined, short, table
from shipline.cli.run import Hotfix, Request, Timeout, Wait, tell_run
from shipline.cli.run_summary import render_waiting, tell_how_to_retry
from shipline.cli.session import Session

Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded.")]
Identity = Annotated[str, typer.Argument(metavar="ID", help="Of a promotion or a run.")]


def promote(  # noqa: PLR0913  # a command's parameters are its options
    session: Session,
    what: Annotated[str, typer.Argument(help="A release id, a revision or a digest.")],
    *,
    to: Annotated[str, typer.Option(metavar="ENV", help="The environment.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Also over a newer, diverged or unrelated line of history.")
    ] = False,
    hotfix: Hotfix = False,
    redeploy: Annotated[bool, typer.Option("--redeploy", help="Apply what runs there again.")] = False,
    wait: Wait = False,
    timeout: Timeout = None,
    request: Request = None,
) -> None:
    """Promote a release into an environment.

    Example: shipline promote main --to staging --wait
    """
    if hotfix and redeploy:
        raise typer.BadParameter("--hotfix brings something new and --redeploy what is there: choose one")
    kind = "hotfix" if hotfix else "redeploy" if redeploy else "change"
    body = {"what": what, "environment": to, "replace": replace, "kind": kind, "request": request or uuid.uuid4().hex}
    asked = session.api.post(session.path("promotions"), body)
    _tell_promotion(session, asked, Patience(wait, timeout))


def rollback(
    session: Session,
    environment: Annotated[str, typer.Argument(metavar="ENV")],
    *,
    to: Annotated[
        str | None, typer.Option(metavar="DIGEST_OR_RELEASE", help="Otherwise the last good one before this.")
    ] = None,
    service: Annotated[str | None, typer.Option(metavar="NAME", help="Only this service.")] = None,
    wait: Wait = False,
    timeout: Timeout = None,
    request: Request = None,
) -> None:
    """Promote a previously verified release again.

    Example: shipline rollback production
    """
    body = {"environment": environment, "to": to, "service": service, "request": request or uuid.uuid4().hex}
    asked = session.api.post(session.path("rollbacks"), body)
    _tell_promotion(session, asked, Patience(wait, timeout))


def retry(session: Session, identity: Identity, *, wait: Wait = False, timeout: Timeout = None) -> None:
    """Continue an Errored promotion or run under its id.

    Example: shipline retry 0198c1f2-7e0a-7bbb-8f00-2f6a5b1c9d3e
    """
    answer, is_run = _act(session, identity, "retry", {})
    patience = Patience(wait, timeout)
    tell_run(session, answer["id"], patience) if is_run else _tell_promotion(session, answer, patience)


def abort(session: Session, identity: Identity, *, reason: Reason) -> None:
    """Stop a promotion that has not rolled out, or a run.

    Example: shipline abort 0198c1f2-7e0a-7bbb-8f00-2f6a5b1c9d3e --reason "wrong branch"
    """
    answer, _ = _act(session, identity, "abort", {"reason": reason})
    session.show(answer, lambda one: session.say(f"{one['id']}: {one['state']}"))


def hold(session: Session, environment: Annotated[str, typer.Argument(metavar="ENV")], *, reason: Reason) -> None:
    """Keep every automation from moving an environment.

    Example: shipline hold production --reason "the sale is on"
    """
    answer = session.api.put(session.path("environments", environment, "hold"), {"reason": reason})
    session.show(answer, lambda one: session.say(f"{one['environment']}: held ({reason})"))


def unhold(session: Session, environment: Annotated[str, typer.Argument(metavar="ENV")]) -> None:
    """Let automations move an environment again.

    Example: shipline unhold production
    """
    answer = session.api.delete(session.path("environments", environment, "hold"))
    session.show(answer, lambda one: session.say(f"{one['environment']}: no longer held"))


def _act(session: Session, identity: str, action: str, body: Document) -> tuple[Document, bool]:
    """(answer, whether it is a run): an id may be of either, and somebody may be allowed one of them only."""
    try:
        return session.api.post(segments("promotions", identity, action), body), False
    except ApiError as error:
        if error.status not in {403, 404}:  # HTTP's Forbidden and Not Found
            raise
        refused = error if error.status == 403 else None  # noqa: PLR2004  # HTTP's Forbidden
    try:
        return session.api.post(segments("runs", identity, action), body), True
    except ApiError as error:
        if error.status != 404:  # noqa: PLR2004  # HTTP's Not Found
            raise
        unknown = NotFoundError(f"no run or promotion '{identity}'", hint="shipline history lists promotions")
        raise (refused or unknown) from None


def _tell_promotion(session: Session, asked: Document, patience: Patience) -> None:
    session.say(f"promotion {asked['id']} into {asked['environment']}")
    document = follow_promotion(session, asked["id"], patience)
    session.show(document, lambda one: _render(session, one))
    tell_how_to_follow(document, patience)
    raise typer.Exit(patience.exit_code(document))


def _render(session: Session, promotion: Document) -> None:
    if promotion["services"]:
        rows = [(one["name"], short(one["from"]) or "nothing", short(one["to"])) for one in promotion["services"]]
        table(("SERVICE", "FROM", "TO"), rows)
    if promotion["state"] == "Waiting":
        render_waiting(session, promotion)
        return
    why = joined(promotion["reasons"]) or promotion.get("because") or ""
    session.say(f"{promotion['environment']}: {promotion['state']}{f' ({why})' if why else ''}")
    tell_how_to_retry(session, promotion)
    if promotion.get("url"):
        session.say(str(promotion["url"]))
