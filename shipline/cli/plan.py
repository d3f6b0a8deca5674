"""`shipline plan`: what a run would do, and why."""

from collections.abc import Sequence
from typing import Annotated

import typer

from shipline.cli.before_start import check_before_start
from shipline.cli.output import Document, joined, moment, plain, short, table
from shipline.cli.remote import explaining_unpushed
from shipline.cli.session import Session

Revision = Annotated[str | None, typer.Argument(metavar="REV", help="A branch, tag or commit; otherwise HEAD.")]
Base = Annotated[str | None, typer.Option(metavar="REV", help="Compare with this instead of the base found by itself.")]
Dirty = Annotated[
    bool, typer.Option("--dirty", help="The work tree as it is, uncommitted changes too; reaches dev only.")
]
Only = Annotated[list[str] | None, typer.Option(metavar="STEP", help="Only these steps (repeat it, or use commas).")]
Force = Annotated[
    list[str] | None, typer.Option(metavar="SERVICE|all", help="Run this again although nothing changed for it.")
]


def plan(
    session: Session,
    revision: Revision = None,
    *,
    base: Base = None,
    dirty: Dirty = False,
    only: Only = None,
    force: Force = None,
    to: Annotated[
        str | None, typer.Option(metavar="ENV", help="Also what every gate of this environment would say now.")
    ] = None,
) -> None:
    """Show what would run, be skipped, be reused and be deployed, and why.

    Example: shipline plan my-branch --base main
    """
    check_before_start(session, revision, base=base, dirty=dirty, only=names(only), force=names(force))
    query = {
        "revision": session.revision(revision, dirty=dirty),
        "base": base and session.revision(base),
        "dirty": dirty or None,
        "only": ",".join(names(only)) or None,
        "force": ",".join(names(force)) or None,
        "to": to,
    }
    with explaining_unpushed(far=session.far):
        found = session.api.get(session.path("plan"), query)
    session.show(found, _render)


def names(given: list[str] | None) -> list[str]:
    """Names given one by one or with commas."""
    return [name for one in given or [] for name in one.split(",") if name]


def _render(plan: Document) -> None:
    base = f"{short(plan['base'])} ({plan['base_because']})" if plan.get("base") else f"none ({plan['base_because']})"
    version = f", version {plan['version']}" if plan.get("version") else ""
    print(f"revision {short(plan['revision'])}{version}, base {base}, {len(plan['changed'])} changed files\n")  # noqa: T201
    if plan["changed"]:
        table(("CHANGE", "PATH"), [(one["change"], one["path"]) for one in plan["changed"][:_SHOWN_CHANGES]])
        if len(plan["changed"]) > _SHOWN_CHANGES:
            print(f"and {len(plan['changed']) - _SHOWN_CHANGES} more; all with --json")  # noqa: T201
        print()  # noqa: T201
    services = [(one["name"], "yes" if one["impacted"] else "no", joined(one["because"])) for one in plan["services"]]
    _section(("SERVICE", "IMPACTED", "BECAUSE"), services)
    steps = [(one["name"], one["service"], one["action"], joined(one["because"])) for one in plan["steps"]]
    _section(("STEP", "SERVICE", "ACTION", "BECAUSE"), steps)
    deploys = [(one["environment"], joined(one["waits_for"]) or "nothing") for one in plan["deploys"]]
    if deploys:
        table(("DEPLOYS TO", "WAITS FOR"), deploys)
    else:
        print("nothing is deployed")  # noqa: T201
    if plan.get("gates"):
        print(f"\nwhat its gates would say in {plain(plan['to'])} now")  # noqa: T201
        table(("GATE", "SAYS", "BECAUSE", "UNTIL", "UNBLOCKED BY"), [_gate(one) for one in plan["gates"]])
    for note in plan.get("notes") or ():
        print(note)  # noqa: T201


def _gate(one: Document) -> tuple[object, ...]:
    says = "passes" if one["passed"] else "waits" if one["waiting"] else "refuses"
    return (one["gate"], says, joined(one["reasons"]), moment(one["until"]), one["unblocked_by"])


_SHOWN_CHANGES = 20


def _section(headings: tuple[str, ...], rows: Sequence[Sequence[object]]) -> None:
    if rows:
        table(headings, rows)
        print()  # noqa: T201
