"""Checks of single services, steps, fixtures and smoke suites."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from pydantic import TypeAdapter, ValidationError

from delivery.config import Configuration, SecretReference
from delivery.config_findings import Finding, named
from delivery.config_graph import ancestors
from delivery.yaml_document import Path

_POINTER = re.compile(r"(/([^~/]|~[01])*)*")
_REFERENCE: TypeAdapter[str] = TypeAdapter(SecretReference)


def fixtures_have_one_kind(configuration: Configuration) -> Iterator[Finding]:
    """A fixture is a PostgreSQL or a command, and its readiness is one thing."""
    for name, fixture in configuration.fixtures.items():
        at: Path = ("fixtures", name)
        kinds = [kind for kind in ("postgresql", "run") if getattr(fixture, kind) is not None]
        if len(kinds) != 1:
            message = f"{named(at)} must be either 'postgresql' or 'run', and is {' and '.join(kinds) or 'neither'}"
            yield Finding(at, message, "write 'postgresql: {}' for a throw-away PostgreSQL", at_key=True)
        if fixture.run is not None:
            ready = fixture.run.ready
            ways = [way for way in ("tcp", "http", "command") if getattr(ready, way)]
            if len(ways) != 1:
                place = (*at, "run", "ready")
                message = f"{named(place)} must be one of tcp, http and command, and is {' and '.join(ways) or 'none'}"
                yield Finding(place, message, "write 'tcp: true' to wait for its port", at_key=True)


def fixed_ports_do_not_meet(configuration: Configuration) -> Iterator[Finding]:
    """Two steps that can run at the same time do not start fixtures on one port."""
    needs = {name: step.needs for name, step in configuration.steps.items()}
    before = {name: ancestors(needs, name) for name in needs}
    for port, users in _users_of_fixed_ports(configuration).items():
        for number, (step, fixture) in enumerate(users):
            earlier = (other for other, _ in users[:number] if other not in before[step] and step not in before[other])
            rival = next(earlier, None)
            if rival is not None:
                message = f"steps {rival} and {step} can run at the same time and both want port {port}"
                hint = f"let one need the other, or leave 'port' out of fixture '{fixture}'"
                yield Finding(("steps", step, "fixtures"), message, hint)


def coverage_has_a_report(configuration: Configuration) -> Iterator[Finding]:
    """A minimum needs something that is measured."""
    for name, step in configuration.steps.items():
        if step.reports.minimum_coverage is not None and not step.reports.coverage:
            at = ("steps", name, "reports", "minimum_coverage")
            yield Finding(at, f"{named(at)} is set, but no coverage report is named", "add 'coverage: [coverage.xml]'")


def steps_have_services(configuration: Configuration) -> Iterator[Finding]:
    """A step per service needs a service to run for."""
    for name, step in configuration.steps.items():
        if step.per == "service" and not configuration.services:
            at = ("steps", name, "per")
            yield Finding(at, f"{named(at)} is 'service', but there is no service", "write 'per: repository'")


def variables_are_given_once(configuration: Configuration) -> Iterator[Finding]:
    """A variable is a text or a secret, not both."""
    holders: list[tuple[Path, Iterable[str], Iterable[str]]] = [
        (("steps", name), step.environment, step.secrets) for name, step in configuration.steps.items()
    ]
    holders += [
        (("services", name, "run"), service.run.environment, service.run.secrets)
        for name, service in configuration.services.items()
    ]
    holders += [
        (("environments", name, "services", service), added.environment, added.secrets)
        for name, environment in configuration.environments.items()
        for service, added in environment.services.items()
    ]
    for at, variables, secrets in holders:
        both = set(secrets)
        for variable in variables:
            if variable in both:
                message = f"'{variable}' in {named(at)} is given as a text and as a secret"
                yield Finding((*at, "environment", variable), message, "keep one of the two", at_key=True, secret=True)


def http_paths_begin_with_a_slash(configuration: Configuration) -> Iterator[Finding]:
    """What is asked of a service is a path on it."""
    asked: list[tuple[Path, str]] = [
        (("services", name, "run", "health", "path"), service.run.health.path)
        for name, service in configuration.services.items()
    ]
    asked += [
        (("fixtures", name, "run", "ready", "http"), fixture.run.ready.http)
        for name, fixture in configuration.fixtures.items()
        if fixture.run and fixture.run.ready.http
    ]
    asked += [
        (("smoke", name, "requests", number, "path"), request.path)
        for name, suite in configuration.smoke.items()
        for number, request in enumerate(suite.requests)
    ]
    for at, path in asked:
        if not path.startswith(("/", "{")):
            yield Finding(at, f"{named(at)} must begin with '/', got '{path}'", f"write '/{path}'")


def answers_are_matched_by_pointers(configuration: Configuration) -> Iterator[Finding]:
    """`matches` and `keep` find values by JSON pointers; header secrets are references."""
    for name, suite in configuration.smoke.items():
        for number, request in enumerate(suite.requests):
            at: Path = ("smoke", name, "requests", number)
            for pointer in request.matches:
                yield from _pointer((*at, "matches", pointer), pointer, at_key=True)
            for variable, pointer in request.keep.items():
                yield from _pointer((*at, "keep", variable), pointer, at_key=False)
            for header, value in request.headers.items():
                if value.startswith("secret:") and not _is_reference(value):
                    place = (*at, "headers", header)
                    message = f"{named(place)} must be a reference like 'secret:NAME'"
                    yield Finding(place, message, "use letters, digits, '_', '-' and '.' in NAME", secret=True)


def _users_of_fixed_ports(configuration: Configuration) -> dict[int, list[tuple[str, str]]]:
    """Per port the (step, fixture) pairs that want it; twice the same step when it runs once per service."""
    users: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for name, step in configuration.steps.items():
        several = step.per == "service" and len(step.services or configuration.services) > 1
        for fixture in step.fixtures:
            declared = configuration.fixtures.get(fixture)
            if declared and declared.postgresql and declared.postgresql.port:
                users[declared.postgresql.port] += [(name, fixture)] * (2 if several else 1)
    return users


def _pointer(at: Path, pointer: str, *, at_key: bool) -> Iterator[Finding]:
    if not _POINTER.fullmatch(pointer):
        place = at[:-1] if at_key else at
        hint = "separate keys with '/', for instance '/data/id'"
        yield Finding(at, f"{named(place)}: '{pointer}' is not a JSON pointer", hint, at_key=at_key)


def _is_reference(value: str) -> bool:
    try:
        _REFERENCE.validate_python(value)
    except ValidationError:
        return False
    return True


VALUE_CHECKS: tuple[Callable[[Configuration], Iterator[Finding]], ...] = (
    fixtures_have_one_kind,
    fixed_ports_do_not_meet,
    coverage_has_a_report,
    steps_have_services,
    variables_are_given_once,
    http_paths_begin_with_a_slash,
    answers_are_matched_by_pointers,
)
