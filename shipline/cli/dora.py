"""`shipline dora`: the delivery metrics, and what they rest on."""

from typing import Annotated

import typer

from shipline.cli.output import Document, duration, joined, moment, table
from shipline.cli.session import Session


def dora(
    session: Session,
    *,
    env: Annotated[str | None, typer.Option(metavar="ENV", help="Otherwise production.")] = None,
    service: Annotated[str | None, typer.Option(metavar="NAME", help="Only this service.")] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="RFC 3339; the window's start.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="RFC 3339; the window's end.")] = None,
    edition: Annotated[str | None, typer.Option(metavar="YEAR", help="Whose bands to compare with.")] = None,
    variant: Annotated[
        str | None, typer.Option(metavar="NAME", help="default, or seed-a: a source system's own definitions.")
    ] = None,
    ignore_author: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Whose commits have no lead time, such as a robot's.")
    ] = None,
) -> None:
    """Show DORA's delivery metrics over a window.

    Example: shipline dora --env production --from 2026-01-01T00:00:00Z
    """
    query = {
        "environment": env,
        "service": service,
        "from": start,
        "to": end,
        "edition": edition,
        "variant": variant,
        "ignore_author": ignore_author,
    }
    session.show(session.api.get(session.path("dora"), query), lambda one: _render(session, one))


def _render(session: Session, found: Document) -> None:
    window = found["window"]
    asked = f"{found['n']} deployments, {found['variant']} {found['edition']}"
    session.say(f"{moment(window['from'])} to {moment(window['to'])}, {asked}\n")
    beside = found["beside"]
    rows = [_row(name, metric, beside["metrics"].get(name)) for name, metric in found["metrics"].items()]
    table(("METRIC", "VALUE", "BAND", "N", beside["variant"].upper(), "READ WITH"), rows)


def _row(name: str, metric: Document, other: Document | None) -> tuple[object, ...]:
    band = None if metric.get("value") is None else metric.get("band")
    counted_otherwise = _value(other) if other and other != metric else "the same"
    flags = joined(metric.get("flags"))
    return (name.replace("_", " "), _value(metric), band, metric.get("n"), counted_otherwise, flags)


def _value(metric: Document) -> str:
    value, unit = metric.get("value"), metric.get("unit")
    if value is None:
        return str(metric.get("band"))
    if unit == "seconds":
        return duration(value)
    return f"{value:.1%}" if unit == "ratio" else f"{value:.2f} {unit}"
