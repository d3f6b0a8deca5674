"""Checks of path patterns: bounded, inside the repository, readable, and of one service only."""

import re
from collections.abc import Iterator

from delivery.config import Configuration
from delivery.config_findings import Finding, named
from delivery.config_overlaps import PECULIAR, overlapping_patterns
from delivery.errors import ConfigurationError
from delivery.paths import matcher
from delivery.yaml_document import Path

_WILDCARD = re.compile(r"\*+|\?|\[")
_MOST_WILDCARDS = 16
"""In one pattern: what a regular expression of it has to try grows with each."""
_MOST_PECULIAR = 300
"""Patterns of a file that have to be made a regular expression to be judged."""


def check_patterns(configuration: Configuration) -> Iterator[Finding]:
    """What is wrong with the patterns; of too many or too wild ones only that, because judging them takes seconds."""
    patterns = list(_patterns(configuration))
    excess = [*_too_wild(patterns), *_too_peculiar(patterns)]
    if excess:
        yield from excess
        return
    yield from _wrong(patterns)
    yield from overlapping_patterns(configuration)


def _too_wild(patterns: list[tuple[Path, str]]) -> Iterator[Finding]:
    for at, pattern in patterns:
        count = len(_WILDCARD.findall(pattern))
        if count > _MOST_WILDCARDS:
            message = f"{named(at)} has {count} wildcards, more than the {_MOST_WILDCARDS} that are read"
            yield Finding(at, message, "write several simpler patterns")


def _too_peculiar(patterns: list[tuple[Path, str]]) -> Iterator[Finding]:
    peculiar = [at for at, pattern in patterns if not PECULIAR.isdisjoint(pattern)]
    if len(peculiar) > _MOST_PECULIAR:
        message = f"{len(peculiar)} patterns use '?', '[' or a backslash, more than the {_MOST_PECULIAR} that are read"
        yield Finding(peculiar[_MOST_PECULIAR], message, "use '*' or name folders")


def _wrong(patterns: list[tuple[Path, str]]) -> Iterator[Finding]:
    """Patterns and folders stay inside the repository and can be read."""
    for at, pattern in patterns:
        if pattern.startswith("/") or ".." in pattern.split("/"):
            message = f"{named(at)} must stay inside the repository, got '{pattern}'"
            yield Finding(at, message, "write it relative to the repository's root")
        elif not PECULIAR.isdisjoint(pattern):
            yield from _unreadable(at, pattern)


def _unreadable(at: Path, pattern: str) -> Iterator[Finding]:
    try:
        matcher((pattern,))
    except ConfigurationError as error:
        yield Finding(at, f"{named(at)}: {error.message}", error.hint)


def _patterns(configuration: Configuration) -> Iterator[tuple[Path, str]]:
    """Every pattern and folder with its path."""
    lists: list[tuple[Path, list[str]]] = [(("pipeline_paths",), configuration.pipeline_paths)]
    for name, service in configuration.services.items():
        lists.append((("services", name, "paths"), service.paths))
        lists.append((("services", name, "build", "inputs"), service.build.inputs))
        yield ("services", name, "build", "output"), service.build.output
    lists += [(("libraries", name, "paths"), library.paths) for name, library in configuration.libraries.items()]
    for name, step in configuration.steps.items():
        lists.append((("steps", name, "inputs"), step.inputs))
        lists.append((("steps", name, "outputs"), step.outputs))
        lists.append((("steps", name, "reports", "junit"), step.reports.junit))
        lists.append((("steps", name, "reports", "coverage"), step.reports.coverage))
    for at, patterns in lists:
        for number, pattern in enumerate(patterns):
            yield (*at, number), pattern
