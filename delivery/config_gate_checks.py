"""Checks of what environments ask of promotions: what no gate could ever judge by."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePosixPath
from zoneinfo import available_timezones

from delivery.config import Configuration, Environment
from delivery.config_findings import Finding, named
from delivery.config_gates import Freeze, Upstreams
from delivery.cron import require_cron
from delivery.errors import ConfigurationError, Problem
from delivery.freezing import dated_span, zone
from delivery.gates.conditions import FACTS
from delivery.pipeline import names_of
from delivery.yaml_document import Path


def several_upstreams_are_all_or_any(configuration: Configuration) -> Iterator[Finding]:
    """Of several environments either all or any is meant."""
    for at, environment in _environments(configuration):
        after = environment.after
        if isinstance(after, Upstreams) and bool(after.all) == bool(after.any):
            place = (*at, "after")
            ways = "both" if after.all else "neither"
            message = f"{named(place)} must be either 'all' or 'any', and is {ways}"
            yield Finding(place, message, "write 'all: [one, other]' or 'any: [one, other]'", at_key=True)


def soaking_has_a_place(configuration: Configuration) -> Iterator[Finding]:
    """A release soaks in the environment before this one."""
    for at, environment in _environments(configuration):
        if environment.soak_seconds and not names_of(environment.after):
            place = (*at, "soak_seconds")
            yield Finding(place, f"{named(place)} is set, but nothing comes before", "add 'after: ENVIRONMENT'")


def freezes_have_one_time(configuration: Configuration) -> Iterator[Finding]:
    """A window is said in one of the three ways, whole."""
    for at, window in _windows(configuration):
        ways = {
            "from and until": window.begins is not None or window.until is not None,
            "cron": window.cron is not None or window.for_seconds is not None,
            "calendar": window.calendar is not None,
        }
        given = [way for way, is_given in ways.items() if is_given]
        if len(given) != 1:
            message = f"{named(at)} must have one of 'from' with 'until', 'cron' with 'for_seconds', 'calendar'"
            yield Finding(at, f"{message}, and has {' and '.join(given) or 'none'}", at_key=True)
        elif missing := _missing_half(window):
            yield Finding(at, f"missing key '{missing}' in {named(at)}", missing=True)


def freezes_can_be_read(configuration: Configuration) -> Iterator[Finding]:
    """Time zones, dates, cron expressions and paths are ones."""
    for at, window in _windows(configuration):
        try:
            zone(window.time_zone)
        except ConfigurationError as error:
            place = (*at, "time_zone")
            message = f"{named(place)}: {error.message}"
            yield Finding(place, message, error.hint, unknown=window.time_zone, known=_zones_like(window.time_zone))
        else:
            yield from _unreadable(at, window)


def missing_calendars(configuration: Configuration, is_there: Callable[[str], bool]) -> list[Problem]:
    """A problem for each calendar that is not in the tree: only the real files can tell."""
    named_ones = {window.calendar: at for at, window in _windows(configuration) if window.calendar}
    return [
        Problem(f"{named((*at, 'calendar'))}: {path} is not in the repository", "commit it, or remove the window")
        for path, at in named_ones.items()
        if not is_there(path)
    ]


def _zones_like(name: str) -> list[str]:
    """The time zones of the same part of the world, which what is misspelt is compared with."""
    region = name.partition("/")[0]
    return sorted(one for one in available_timezones() if one.partition("/")[0] == region)


def conditions_can_be_evaluated(configuration: Configuration) -> Iterator[Finding]:
    """Every expression is one, names facts that there are, and costs no more than it may."""
    for at, environment in _environments(configuration):
        for number, condition in enumerate(environment.conditions):
            from delivery.cel import require_expression

            expression, place = condition.cel, (*at, "conditions", number, "cel")
            yield from _refused(place, partial(require_expression, expression, FACTS))


def _unreadable(at: Path, window: Freeze) -> Iterator[Finding]:
    if window.begins and window.until:
        yield from _refused((*at, "from"), lambda: dated_span(window))
    if cron := window.cron:
        yield from _refused((*at, "cron"), lambda: require_cron(cron))
    if window.calendar is not None and not _is_calendar(window.calendar):
        place = (*at, "calendar")
        message = f"{named(place)} must be the path of an .ics file in the repository, got '{window.calendar}'"
        yield Finding(place, message, "write for instance 'calendars/holidays.ics'")


def _refused(place: Path, read: Callable[[], object]) -> Iterator[Finding]:
    try:
        read()
    except ConfigurationError as error:
        yield Finding(place, f"{named(place)}: {error.message}", error.hint)


def _missing_half(window: Freeze) -> str:
    pairs = {"from": window.begins, "until": window.until, "cron": window.cron, "for_seconds": window.for_seconds}
    half = {"from": "until", "until": "from", "cron": "for_seconds", "for_seconds": "cron"}
    return next((half[key] for key, value in pairs.items() if value is not None and pairs[half[key]] is None), "")


def _is_calendar(path: str) -> bool:
    parts = PurePosixPath(path)
    inside = not parts.is_absolute() and ".." not in parts.parts and "://" not in path and "\\" not in path
    return inside and path.isprintable() and parts.suffix == ".ics"


def _windows(configuration: Configuration) -> Iterator[tuple[Path, Freeze]]:
    for at, environment in _environments(configuration):
        for number, window in enumerate(environment.freeze):
            yield (*at, "freeze", number), window


def _environments(configuration: Configuration) -> Iterator[tuple[Path, Environment]]:
    for name, environment in configuration.environments.items():
        yield ("environments", name), environment


GATE_CHECKS: tuple[Callable[[Configuration], Iterator[Finding]], ...] = (
    several_upstreams_are_all_or_any,
    soaking_has_a_place,
    freezes_have_one_time,
    freezes_can_be_read,
    conditions_can_be_evaluated,
)
