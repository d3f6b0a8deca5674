"""`shipline cache`: why a step is or is not reused, how much reuse helps, and what of it may go."""

from typing import Annotated

import typer

from shipline.cli.output import Document, amount, duration, table
from shipline.cli.plan import Dirty, Revision
from shipline.cli.remote import explaining_unpushed
from shipline.cli.session import Session

Step = Annotated[str, typer.Argument(metavar="STEP", help="A step, or STEP@SERVICE for one of its services.")]
Keep = Annotated[
    str, typer.Option(metavar="SIZE|DAYS", help="What stays: so much (2GB, 500MB), or what was used since (30d).")
]
Yes = Annotated[bool, typer.Option("--yes", help="Remove it; without this it is only shown.")]
_SHOWN_FILES = 20


def why(session: Session, step: Step, revision: Revision = None, *, dirty: Dirty = False) -> None:
    """Show what of a step differs from the nearest earlier run whose result is kept, naming the file.

    As JSON: `{project, revision, steps: [{id, name, service, key, action, reusable, because, nearest: {run, revision,
    at, key, same_line}, differs: {component, name, earlier, now, files: [{path, change}]}}]}`; `nearest` and `differs`
    are null where there is none. Nothing differs when `reusable` is true.

    Example: shipline cache why unit
    """
    query = {"step": step, "revision": session.revision(revision, dirty=dirty), "dirty": dirty or None}
    with explaining_unpushed(far=session.far):
        found = session.api.get(session.path("cache", "why"), query)
    session.show(found, _render_why)


def stats(session: Session) -> None:
    """Show how often steps were reused, what that saved, and how much is kept.

    Of the project's 2,000 newest steps; the size is that of all projects. As JSON: `{project, steps: {executed,
    reused, hit_rate, executed_seconds, saved_seconds}, size: {bytes, results, blobs, needed_bytes},
    shared: {address, problem}}`; `hit_rate` is null when nothing ran, `needed_bytes` are what releases need, and
    `shared` is null without a shared cache.

    Example: shipline cache stats
    """
    session.show(session.api.get(session.path("cache", "stats")), _render_stats)


def gc(session: Session, *, keep: Keep, yes: Yes = False) -> None:
    """Show what of the cache would go, of all projects; with --yes it goes.

    What a release needs stays, and so does what a run under way reuses and what was used within the last hour. As JSON:
    `{keep, removed, results, blobs, bytes, kept: {results, blobs, bytes, needed_bytes, recent_results,
    results_under_way}, oldest_used_at}`; with `removed` true they have gone.

    Example: shipline cache gc --keep 30d
    """
    shown = session.api.get("/cache/gc", {"keep": keep})
    if not yes:
        session.show(shown, lambda one: _render_removal(session, one))
        return
    _render_removal(session, shown)
    session.show(session.api.post("/cache/gc", {"keep": keep}), lambda one: _render_removal(session, one))


def _render_why(answer: Document) -> None:
    for one in answer["steps"]:
        print(f"{one['id']}: {one['because']}")  # noqa: T201
        files = (one["differs"] or {}).get("files") or []
        if len(files) > 1:
            table(("CHANGE", "INPUT"), [(file["change"], file["path"]) for file in files[:_SHOWN_FILES]])
        if len(files) > _SHOWN_FILES:
            print(f"and {len(files) - _SHOWN_FILES} more; all with --json")  # noqa: T201


def _render_stats(answer: Document) -> None:
    steps, size = answer["steps"], answer["size"]
    rate = "" if steps["hit_rate"] is None else f"{steps['hit_rate']:.0%}"
    rows = [
        ("steps executed", steps["executed"], duration(steps["executed_seconds"])),
        ("steps reused", steps["reused"], f"{duration(steps['saved_seconds'])} saved"),
        ("hit rate", rate or "unknown: nothing ran", ""),
        ("kept, all projects", amount(size["bytes"]), f"{size['results']} results, {size['blobs']} blobs"),
        ("of that for releases", amount(size["needed_bytes"]), ""),
    ]
    if answer["shared"]:
        rows.append(("shared", answer["shared"]["address"], answer["shared"]["problem"] or "it answers"))
    table(("", "", ""), rows)


def _render_removal(session: Session, answer: Document) -> None:
    kept = answer["kept"]
    verb = "removed" if answer["removed"] else "would remove"
    session.say(
        f"{verb} {answer['results']} results and {answer['blobs']} blobs, {amount(answer['bytes'])}; "
        f"{kept['results']} results and {kept['blobs']} blobs stay, {amount(kept['bytes'])}"
    )
    if not answer["removed"]:
        session.say(
            f"in any case stay: {amount(kept['needed_bytes'])} that releases need, {kept['recent_results']} results "
            f"used within the last hour, {kept['results_under_way']} of runs under way"
        )
