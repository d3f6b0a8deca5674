"""`shipline up`, `down`, `doctor`, `tour`: the control plane itself."""

from typing import Annotated

import typer

from shipline.cli.errors import FAILED, complain
from shipline.cli.output import Document, plain, table
from shipline.cli.session import Session, require_usable

_MEGABYTE = 1_000_000


def up(
    session: Session,
    *,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Be the control plane, for systemd or a container.")
    ] = False,
) -> None:
    """Start the control plane of this home and return when all of it is ready; one that runs stays.

    Example: SHIPLINE_HOME=~/demo shipline up
    """
    from shipline.control import lifecycle

    require_usable(session.home)
    if foreground:
        lifecycle.run_in_foreground(session.home)
        return
    state = lifecycle.up(session.home, complain)
    document = {"url": state.url, "gateway": state.gateway_url, "components": list(state.components)}
    session.show(document, lambda found: _render(session, found))


def down(
    session: Session,
    *,
    environments: Annotated[
        bool, typer.Option("--environments", help="Also stop the deployed services and their router.")
    ] = False,
) -> None:
    """Stop the control plane; deployed services go on serving unless they are named.

    Example: shipline down
    """
    from shipline.control.lifecycle import down as stop

    ran = session.home.control_state.exists() or session.home.data_plane.exists()
    stop(session.home, environments=environments)
    what = "control plane and environments" if environments else "control plane"
    words = f"{what} of {session.home.root}: {'stopped' if ran else 'nothing ever ran there'}"
    session.show({"components": []}, lambda _: session.say(words))


def doctor(session: Session) -> None:
    """Show what this machine lacks and how to get it; exit code 1 when something required is missing.

    Example: shipline doctor
    """
    from shipline.control.doctor import doctor as look

    findings = look(session.home)
    document = {
        "ok": all(one.ok or not one.required for one in findings),
        "components": [
            {
                "name": one.name,
                "state": "ok" if one.ok else "missing" if one.required else "optional",
                "version": one.found,
                "url": None,
                "pid": None,
                "hint": one.hint,
            }
            for one in findings
        ],
    }
    session.show(document, _render_findings)
    if not document["ok"]:
        raise typer.Exit(FAILED)


def tour(
    session: Session,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the project, its home and all that runs there.")] = False,
) -> None:
    """Walk through a whole delivery on a throw-away project, every sentence checked.

    Example: shipline tour
    """
    from shipline.tour import tour as walk

    went = walk(session.say, keep=keep)
    seconds, ok = sum(one.seconds for one in went), all(one.ok for one in went)
    steps = [{"title": one.title, "ok": one.ok, "seconds": round(one.seconds, 3)} for one in went]
    words = f"\n{'every claim held' if ok else 'a claim did not hold'}, {seconds:.0f} s"
    session.show({"ok": ok, "steps": steps}, lambda _: session.say(words))
    if not ok:
        raise typer.Exit(FAILED)


def _render(session: Session, found: Document) -> None:
    rows = [
        (
            one["name"],
            one["state"],
            one.get("version"),
            one.get("url"),
            one.get("pid"),
            _memory(one.get("memory_bytes")),
        )
        for one in found["components"]
    ]
    table(("COMPONENT", "STATE", "VERSION", "ADDRESS", "PID", "MEMORY"), rows)
    key = session.home.credentials / "api-token"
    if not found["gateway"]:  # an earlier version is running still
        return
    session.say(f"pages for people: {found['gateway']}, to sign in with what stands in {key}")


def _render_findings(document: Document) -> None:
    rows = [(one["name"], one["state"], one["version"], one["hint"]) for one in document["components"]]
    table(("NEEDED", "STATE", "FOUND", "WHAT TO DO"), rows)


def _memory(count: object) -> str:
    return f"{count / _MEGABYTE:.0f} MB" if isinstance(count, int) else plain(count)
