"""`shipline run`: verify, build and promote a revision, and tell what became of it."""

import uuid
from typing import Annotated

import typer

from shipline.cli.before_start import check_before_start
from shipline.cli.client import segments
from shipline.cli.follow import Patience, follow_run, tell_how_to_follow
from shipline.cli.plan import Base, Dirty, Force, Only, Revision, names
from shipline.cli.remote import explaining_unpushed
from shipline.cli.run_summary import render_run
from shipline.cli.session import Session

Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end, past a person's decision.")]
Timeout = Annotated[
    float | None, typer.Option(metavar="SECONDS", min=0, help="Wait at most this long; exit code 5 when it passes.")
]
Hotfix = Annotated[bool, typer.Option("--hotfix", help="Unplanned: it answers something that hurts users.")]
Sandbox = Annotated[
    bool,
    typer.Option(
        "--sandbox",
        help="Run each step that is asked for with its declared inputs alone, to find out what it reads besides.",
    ),
]
Request = Annotated[
    str | None, typer.Option(metavar="ID", help="Your own id of this request: the same one twice has one effect.")
]


def run(  # noqa: PLR0913  # a command's parameters are its options
    session: Session,
    revision: Revision = None,
    *,
    base: Base = None,
    dirty: Dirty = False,
    only: Only = None,
    force: Force = None,
    fail_fast: Annotated[
        bool | None, typer.Option("--fail-fast/--no-fail-fast", help="Stop at the first failed step.")
    ] = None,
    hotfix: Hotfix = False,
    sandbox: Sandbox = False,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Stay and tell, or only start it.")] = True,
    wait: Wait = False,
    timeout: Timeout = None,
    request: Request = None,
) -> None:
    """Verify, build once, and promote as far as it may go without a person.

    Example: shipline run --wait --timeout 600
    """
    check_before_start(session, revision, base=base, dirty=dirty, only=names(only), force=names(force))
    body = {
        "revision": session.revision(revision, dirty=dirty),
        "base": base and session.revision(base),
        "dirty": dirty,
        "only": names(only),
        "force": names(force),
        "hotfix": hotfix,
        "sandbox": sandbox,
        "request": request or uuid.uuid4().hex,
    } | ({} if fail_fast is None else {"fail_fast": fail_fast})
    with explaining_unpushed(far=session.far):
        asked = session.api.post(session.path("runs"), body)
    started = asked["id"]
    session.say(f"run {started}")
    for note in asked.get("notes") or ():
        session.say(note)
    if not follow:
        session.show(session.api.get(segments("runs", started)), lambda _: None)
        return
    tell_run(session, started, Patience(wait, timeout))


def tell_run(session: Session, identity: str, patience: Patience) -> None:
    """Follow a run to where the waiting ends, show it and exit with its code."""
    document = follow_run(session, identity, patience)
    session.show(document, lambda one: render_run(session, one))
    tell_how_to_follow(document, patience)
    raise typer.Exit(patience.exit_code(document))
