"""`shipline status`: what runs where, since when, how it is, what waits and why."""

from collections.abc import Iterator
from typing import Annotated

import typer

from shipline.cli.output import Document, duration, moment, short, standing_lines, table
from shipline.cli.session import Session

_MEGABYTE = 1_000_000
_MOST_WAITING = 20


def status(
    session: Session,
    environment: Annotated[str | None, typer.Argument(metavar="ENV", help="Only this one.")] = None,
) -> None:
    """Show what runs where, since when, how it is, what waits and why.

    Example: shipline status production
    """
    found = session.api.get(session.path("status"), {"environment": environment})
    session.show(found, lambda one: _render(session, one))


def _render(session: Session, found: Document) -> None:
    rows = [row for one in found["environments"] for row in _rows(one)]
    table(("ENVIRONMENT", "SERVICE", "VERSION", "ARTIFACT", "LIVE SINCE", "HEALTH", "PREVIOUS", "ADDRESS"), rows)
    for environment in found["environments"]:
        for line in _notes(environment):
            session.say(line)
    if found.get("note"):
        session.say(found["note"])
    if found.get("queue"):
        _render_queue(session, found["queue"])
    control = found.get("control_plane") or {}
    if control.get("memory_bytes"):
        session.say(f"control plane: {control['memory_bytes'] / _MEGABYTE:.0f} MB")


def _render_queue(session: Session, queue: Document) -> None:
    """What waits for its turn, and how long starts took lately; nothing when there is neither."""
    waiting = queue["waiting"]
    if waiting:
        shown = waiting[:_MOST_WAITING]
        table(("PLACE", "WAITS", "FOR", "SINCE"), [_place(one) for one in shown])
        if len(waiting) > len(shown):
            session.say(f"... and {len(waiting) - len(shown)} more; --json lists all")
    if queue["started_last_hour"]:
        half, most = duration(queue["p50_seconds"]), duration(queue["p95_seconds"])
        started = f"{queue['started_last_hour']} started in the last hour, half within {half}, 95 % within {most}"
        session.say(f"queue: {queue['all_waiting']} waiting, {queue['all_working']} at work; {started}")


def _place(one: Document) -> tuple[object, ...]:
    what = f"promotion into {one['environment']}" if one["environment"] else "run"
    return (one["place"], f"{what} {one['id']}", duration(one["waits_seconds"]), moment(one["asked_at"]))


def _rows(environment: Document) -> list[tuple[object, ...]]:
    services = environment["services"]
    return [_row(environment["name"], one) for one in services] or [(environment["name"], "nothing yet")]


def _row(environment: str, one: Document) -> tuple[object, ...]:
    version = one.get("version") or short(one["revision"])
    since, before = moment(one["live_from"]), short(one["previous"])
    return (environment, one["name"], version, short(one["digest"]), since, one["health"], before, one.get("address"))


def _waiting_lines(environment: str, one: Document) -> Iterator[str]:
    yield f"{environment}: {one['id']} waits: {one['because']}"
    yield from (f"  {line}" for line in standing_lines(one))


def _notes(environment: Document) -> list[str]:
    """What waits and why, whether it is held, and where what runs is not what was recorded."""
    name = environment["name"]
    notes = [line for one in environment["waiting"] for line in _waiting_lines(name, one)]
    if environment["hold"]:
        notes.append(f"{name}: held: {environment['hold']['reason']}")
    notes += [f"{name}: differs from the ledger: {one}" for one in environment.get("drift") or ()]
    notes += [f"{name}: incident {one} is open" for one in environment.get("incidents") or ()]
    return notes
