"""What the types cannot say of a configuration: every check is a pure function that yields findings."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from delivery.config import Configuration, Library, Service
from delivery.config_environment_checks import ENVIRONMENT_CHECKS, named_before
from delivery.config_findings import Finding, named, shortened
from delivery.config_gate_checks import GATE_CHECKS
from delivery.config_graph import cycles
from delivery.config_patterns import check_patterns
from delivery.config_value_checks import VALUE_CHECKS
from delivery.pipeline import names_of
from delivery.yaml_document import Path

_LONGEST_CIRCLE = 10


def check(configuration: Configuration) -> Iterator[Finding]:
    """Everything wrong with how the parts of a configuration fit together."""
    for one in _CHECKS:
        yield from one(configuration)


def references_exist(configuration: Configuration) -> Iterator[Finding]:
    """Every name that is used is declared."""
    services, parts = configuration.services, _parts(configuration)
    for name, step in configuration.steps.items():
        at: Path = ("steps", name)
        yield from _missing((*at, "needs"), step.needs, "step", configuration.steps)
        yield from _missing((*at, "services"), step.services, "service", services)
        yield from _missing((*at, "fixtures"), step.fixtures, "fixture", configuration.fixtures)
    for name, part in parts.items():
        section = "services" if name in services else "libraries"
        yield from _missing((section, name, "depends_on"), part.depends_on, "service or library", parts)
    for name, one in services.items():
        yield from _missing(("services", name, "together_with"), one.together_with, "service", services)
    for name, environment in configuration.environments.items():
        at = ("environments", name)
        for place, name_before in named_before(name, environment):
            yield from _missing_one(place, name_before, "environment", configuration.environments)
        yield from _missing_one((*at, "smoke"), environment.smoke, "smoke suite", configuration.smoke)
        for service in environment.services:
            yield from _missing_one((*at, "services", service), service, "service", services, at_key=True)


def smoke_requests_name_a_service(configuration: Configuration) -> Iterator[Finding]:
    """A request says which service it asks, unless there is only one."""
    services = configuration.services
    for name, suite in configuration.smoke.items():
        for number, request in enumerate(suite.requests):
            at: Path = ("smoke", name, "requests", number)
            if request.service is not None:
                yield from _missing_one((*at, "service"), request.service, "service", services)
            elif len(services) != 1:
                hint = f"add 'service: {next(iter(services), 'NAME')}'"
                yield Finding(at, f"{named(at)} does not say which of {len(services)} services it asks", hint)


def nothing_waits_for_itself(configuration: Configuration) -> Iterator[Finding]:
    """No cycles among steps, among services and libraries, or among environments."""
    steps = {name: step.needs for name, step in configuration.steps.items()}
    yield from _cyclic(steps, lambda name: ("steps", name, "needs"), "needs")
    parts = _parts(configuration)
    yield from _cyclic(
        {name: part.depends_on for name, part in parts.items()},
        lambda name: ("services" if name in configuration.services else "libraries", name, "depends_on"),
        "depends on",
    )
    after = {name: names_of(one.after) for name, one in configuration.environments.items()}
    yield from _cyclic(after, lambda name: ("environments", name, "after"), "comes after")


def names_are_unique(configuration: Configuration) -> Iterator[Finding]:
    """Services and libraries share one space of names, because `depends_on` names both."""
    for name in configuration.libraries:
        if name in configuration.services:
            message = f"'{name}' is a library and a service"
            yield Finding(("libraries", name), message, "rename one of them", at_key=True)


def _parts(configuration: Configuration) -> dict[str, Service | Library]:
    return {**configuration.libraries, **configuration.services}


def _missing(path: Path, names: Iterable[str], kind: str, known: Mapping[str, object]) -> Iterator[Finding]:
    for number, name in enumerate(names):
        yield from _missing_one((*path, number), name, kind, known)


def _missing_one(
    path: Path, name: str | None, kind: str, known: Mapping[str, object], *, at_key: bool = False
) -> Iterator[Finding]:
    if name is not None and name not in known:
        where = path[:-1] if at_key or isinstance(path[-1], int) else path
        message = f"{named(where)} names {kind} '{shortened(name)}', which does not exist"
        hint = "" if known else f"no {kind} is declared"
        yield Finding(path, message, hint, at_key=at_key, unknown=name, known=tuple(known))


def _cyclic(graph: Mapping[str, Iterable[str]], place: Callable[[str], Path], verb: str) -> Iterator[Finding]:
    for cycle in cycles(graph):
        ring = [*cycle, cycle[0]] if len(cycle) <= _LONGEST_CIRCLE else [*cycle[:_LONGEST_CIRCLE], "..."]
        chain = f" {verb} ".join(ring)
        message = f"'{cycle[0]}' {verb} itself" if len(cycle) == 1 else f"a circle: {chain}"
        yield Finding(place(cycle[0]), message, "remove one of these")


_CHECKS: tuple[Callable[[Configuration], Iterator[Finding]], ...] = (
    references_exist,
    smoke_requests_name_a_service,
    nothing_waits_for_itself,
    names_are_unique,
    *VALUE_CHECKS,
    *ENVIRONMENT_CHECKS,
    *GATE_CHECKS,
    check_patterns,
)
