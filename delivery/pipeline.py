"""The order of environments: what a release passes before each of them.

An environment comes after another, after all of several, or after any of several.
"""

from collections.abc import Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from delivery.config_gates import Upstreams
from delivery.errors import ConfigurationError

After = str | Upstreams | None
"""What an environment comes after; a single name is written as it is."""


def names_of(after: After) -> tuple[str, ...]:
    """The environments that are named, in the order in which they are."""
    if isinstance(after, Upstreams):
        return (*after.all, *after.any)
    return (after,) if after else ()


def one_is_enough(after: After) -> bool:
    """Whether a release may come by any of them."""
    return isinstance(after, Upstreams) and bool(after.any)


def as_words(after: After) -> str:
    """For people: `dev`, `eu and us`, `eu or us`."""
    return (" or " if one_is_enough(after) else " and ").join(names_of(after))


def tidied(after: After) -> After:
    """The same demand in one spelling, so that no other spelling of it is a change of policy."""
    if not isinstance(after, Upstreams):
        return after
    names = sorted({*names_of(after)})
    if len(names) < 2:  # noqa: PLR2004  # several
        return names[0] if names else None
    return Upstreams(any=names) if after.any else Upstreams(all=names)


def ordered(after: Mapping[str, After], equals: Iterable[str]) -> tuple[str, ...]:
    """Names, each after what it comes after; among equals in the order of `equals`.

    What is named and not there does not order anything. ConfigurationError for a cycle.
    """
    graph = {name: [one for one in names_of(after[name]) if one in after] for name in equals}
    try:
        return tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        raise ConfigurationError(
            f"ordering environments: each comes after the other: {cycle}", hint="remove one `after`"
        ) from None


def before(after: Mapping[str, After], environment: str) -> tuple[str, ...]:
    """The environments that a release may pass before this one, nearest first."""
    found: list[str] = []
    todo = [*names_of(after.get(environment))]
    while todo:
        name = todo.pop(0)
        if name in after and name not in found and name != environment:
            found.append(name)
            todo += names_of(after[name])
    return tuple(found)


def demands(after: Mapping[str, After], wanted: After, least: After) -> bool:
    """Whether whatever meets `wanted` has met `least` on its way: coming later in the same line does."""
    if one_is_enough(least):
        return _passes(after, wanted, names_of(least), frozenset())
    return all(_passes(after, wanted, (name,), frozenset()) for name in names_of(least))


def _passes(after: Mapping[str, After], wanted: After, one_of: Collection[str], seen: frozenset[str]) -> bool:
    """Whether every way to `wanted` leads through one of these."""

    def through(name: str) -> bool:
        return name in one_of or (name not in seen and _passes(after, after.get(name), one_of, seen | {name}))

    names = names_of(wanted)
    if one_is_enough(wanted):
        return all(through(name) for name in names)
    return any(through(name) for name in names)
