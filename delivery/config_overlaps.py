"""Services whose paths can be the same file: by their patterns, and by a real list of files."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from itertools import islice, takewhile

from delivery.config import Configuration
from delivery.config_findings import Finding
from delivery.errors import Problem
from delivery.path_index import PathIndex
from delivery.paths import anchored

_MOST_OVERLAPS = 50
_MOST_WORK = 400_000
"""Characters that are compared; `overlaps` over real files has no such limit."""
_DEEPEST = 8
"""Folders by which patterns are found; what is below them is compared."""
_OPEN = frozenset("*[]\\")
_WILD = _OPEN | {"?"}
PECULIAR = _WILD - {"*"}
"""What only a regular expression can judge; making one takes a hundred times as long as comparing."""

Parts = tuple[str, ...]


def overlapping_patterns(configuration: Configuration) -> Iterator[Finding]:
    """Pairs of services whose patterns alone tell that they share files; a finding per pair, at most fifty."""
    return islice(_overlapping(configuration), _MOST_OVERLAPS)


def _overlapping(configuration: Configuration) -> Iterator[Finding]:
    earlier, work = _Patterns(), 0
    for other, service in configuration.services.items():
        told: set[str] = set()
        mine = [_parts(pattern) for pattern in service.paths]
        for number, parts in enumerate(mine):
            for one, theirs in earlier.near(parts):
                work += 1 if one in told else _work(parts, theirs)
                if work > _MOST_WORK:
                    return
                if one not in told and _can_meet(theirs, parts):
                    told.add(one)
                    yield _overlap(configuration, one, other, theirs, number)
        for parts in mine:
            earlier.add(other, parts)


def _work(one: Parts, other: Parts) -> int:
    """At most so many characters are looked at to tell whether two patterns meet."""
    return len(one) * sum(map(len, other)) + len(other) * sum(map(len, one))


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Patterns and whose they are, found by the folders that they begin with: few of many can meet at all."""

    _at: dict[Parts, list[tuple[str, Parts]]] = field(default_factory=lambda: defaultdict(list))
    _below: dict[Parts, list[tuple[str, Parts]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, owner: str, parts: Parts) -> None:
        folders = _folders(parts)
        self._at[folders].append((owner, parts))
        for depth in range(len(folders) + 1):
            self._below[folders[:depth]].append((owner, parts))

    def near(self, parts: Parts) -> Iterator[tuple[str, Parts]]:
        """Those that begin above, at or below where this one does."""
        folders = _folders(parts)
        for depth in range(len(folders)):
            yield from self._at.get(folders[:depth], ())
        yield from self._below.get(folders, ())


def _folders(parts: Parts) -> Parts:
    return tuple(takewhile(_WILD.isdisjoint, parts[:_DEEPEST]))


def _overlap(configuration: Configuration, one: str, other: str, theirs: Parts, number: int) -> Finding:
    pattern = configuration.services[other].paths[number]
    message = f"services {one} and {other} overlap: both '{'/'.join(theirs)}' and '{pattern}' mean the same files"
    hint = "give shared code to a library that both depend on"
    return Finding(("services", other, "paths", number), message, hint)


def overlaps(configuration: Configuration, paths: Sequence[str]) -> list[Problem]:
    """Pairs of services that both have one of these files, at most fifty: a problem each, with the first such file."""
    index, names = PathIndex(paths), list(configuration.services)
    owned = [set(index.places(service.paths)) for service in configuration.services.values()]
    found = []
    for one, other in _sharing(owned):
        shared = sorted(paths[place] for place in owned[one] & owned[other])
        more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
        message = f"services {names[one]} and {names[other]} overlap: both have {shared[0]}{more}"
        found.append(Problem(message, "give shared code to a library that both depend on"))
    return found


def _sharing(owned: Sequence[set[int]]) -> list[tuple[int, int]]:
    """At most fifty pairs that have something in common, found in one pass over what all have."""
    owners: dict[int, list[int]] = defaultdict(list)
    pairs: set[tuple[int, int]] = set()
    for number, places in enumerate(owned):
        for place in places:
            if earlier := owners[place]:
                pairs.update((one, number) for one in earlier)
            earlier.append(number)
            if len(pairs) >= _MOST_OVERLAPS:
                return sorted(pairs)[:_MOST_OVERLAPS]
    return sorted(pairs)


def can_meet(one: str, other: str) -> bool:
    """Whether patterns alone tell that both mean the same files.

    A refusal must be right, so only what is certain counts: a folder and something named inside it, or
    names that fit each other. That `**/*.py` finds something in `web` only the real files can tell.
    """
    return _can_meet(_parts(one), _parts(other))


def _can_meet(first: Parts, second: Parts) -> bool:
    @cache
    def meet(at: int, by: int) -> bool:
        if at == len(first) or by == len(second):
            return (at == len(first) and by == len(second)) or contained(at, by)
        if "**" in {first[at], second[by]}:
            return across(at, by)
        return _parts_meet(first[at], second[by]) and meet(at + 1, by + 1)

    def contained(at: int, by: int) -> bool:
        return at > 0 and by > 0 and first[at - 1] == second[by - 1] and _WILD.isdisjoint(first[at - 1])

    def across(at: int, by: int) -> bool:
        """`**` takes a folder and stops or goes on; in the middle it may also take none."""
        if meet(at + 1, by + 1):
            return True
        if first[at] == "**" and (meet(at, by + 1) or (at + 1 < len(first) and meet(at + 1, by))):
            return True
        return second[by] == "**" and (meet(at + 1, by) or (by + 1 < len(second) and meet(at, by + 1)))

    return meet(0, 0)


def _parts(pattern: str) -> Parts:
    return tuple(anchored(pattern).rstrip("/").split("/"))


def _parts_meet(one: str, other: str) -> bool:
    """Whether one name could match both; of two wild ones, beginnings and ends are compared."""
    if _WILD.isdisjoint(one):
        return _fits(one, other)
    if _WILD.isdisjoint(other):
        return _fits(other, one)
    return _agree(one, other) and _agree(one[::-1], other[::-1])


def _fits(name: str, pattern: str) -> bool:
    """Whether a name matches; where `*` is all that is wild, without making a regular expression."""
    if not PECULIAR.isdisjoint(pattern):
        return fnmatchcase(name, pattern)
    first, *rest = pattern.split("*")
    if not rest:
        return name == pattern
    *middle, last = rest
    at, end = len(first), len(name) - len(last)
    if at > end or not name.startswith(first) or not name.endswith(last):
        return False
    for piece in middle:
        at = name.find(piece, at, end) + len(piece)
        if at < len(piece):
            return False
    return True


def _agree(one: str, other: str) -> bool:
    """Whether the beginnings before the first `*` or class do not contradict each other."""
    for mine, theirs in zip(one, other, strict=False):
        if mine in _OPEN or theirs in _OPEN:
            return True
        if mine != theirs and "?" not in {mine, theirs}:
            return False
    return len(one) == len(other) or bool(_OPEN & {*one, *other})
