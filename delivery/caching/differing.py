"""What differs between a step as it is now and as it was when a result of it was kept. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from delivery.artifact import Digest
from delivery.paths import matching
from delivery.source import Change

Components = Mapping[str, JsonValue]

_ORDER = (
    "command",
    "inputs",
    "consumed",
    "tools",
    "environment",
    "secrets",
    "fixtures",
    "outputs",
    "reports",
    "platform",
    "schema",
    "format",
)
"""What people change most comes first; whatever a later version adds comes last."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A result that is kept, and the run that made it."""

    key: Digest
    run: str
    revision: str
    at: str
    components: Components
    patterns: tuple[str, ...] = ()
    """Which files its inputs were; none means all."""
    same_line: bool = True
    """Whether its revision is part of the history of the one that is asked about."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first component that differs; of one that holds several things, which of them."""

    component: str
    name: str | None
    earlier: JsonValue
    now: JsonValue


@dataclass(frozen=True, slots=True)
class Listing:
    """The files that are a step's inputs at one revision."""

    patterns: Sequence[str]
    paths: Sequence[str]
    """All of the revision."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Those that a pattern means; without patterns, all."""
        return matching(self.patterns, self.paths) if self.patterns else tuple(self.paths)


def nearest(components: Components, kept: Iterable[Earlier]) -> Earlier | None:
    """The one with most components in common; of several, one of the same line of history, then the latest."""
    ranked = sorted(kept, key=lambda one: (len(_in_common(components, one)), one.same_line, one.at))
    return ranked[-1] if ranked else None


def first_difference(now: Components, earlier: Components) -> Difference | None:
    """The first component that is not the same; None when all are."""
    named = (*_ORDER, *sorted({*now, *earlier} - {*_ORDER}))
    for component in named:
        before, after = earlier.get(component), now.get(component)
        if before != after:
            return _within(component, before, after)
    return None


def changed_inputs(changes: Iterable[Change], earlier: Listing, now: Listing) -> tuple[tuple[str, str], ...]:
    """(path, change) of every input that is not what it was, in the order of paths."""
    before, after = set(earlier.inputs), set(now.inputs)
    touched = {path for one in changes for path in (one.old_path, one.path) if path}
    found = (before ^ after) | (before & after & touched)
    return tuple((path, _change(path, before, after)) for path in sorted(found))


def _change(path: str, before: Collection[str], after: Collection[str]) -> str:
    if path not in before:
        return "added"
    return "modified" if path in after else "deleted"


def _in_common(components: Components, one: Earlier) -> list[str]:
    return [name for name, value in components.items() if one.components.get(name) == value]


def _within(component: str, before: JsonValue, after: JsonValue) -> Difference:
    """Of two mappings the first name that differs; of anything else the whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        name = min(one for one in {*before, *after} if before.get(one) != after.get(one))
        return Difference(component, name, before.get(name), after.get(name))
    return Difference(component, None, before, after)
