"""Services whose paths can be the same file: by their patterns, and by a real list of files."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache
from itertools import combinations, product

from delivery.config import Configuration
from delivery.config_findings import Finding
from delivery.errors import Problem
from delivery.paths import anchored, matching

_MOST_WORK = 100_000
"""Pairs of path segments that are compared; `overlaps` over real files has no such limit."""
_OPEN = frozenset("*[]\\")
_WILD = _OPEN | {"?"}


def overlapping_patterns(configuration: Configuration) -> Iterator[Finding]:
    """Pairs of services whose patterns alone tell that they share files; one finding per pair."""
    parts = {name: [_parts(pattern) for pattern in service.paths] for name, service in configuration.services.items()}
    work = 0
    for one, other in combinations(parts, 2):
        for mine, (number, theirs) in product(parts[one], enumerate(parts[other])):
            if _WILD.isdisjoint(mine[0] + theirs[0]) and mine[0] != theirs[0]:
                continue
            work += len(mine) * len(theirs)
            if work > _MOST_WORK:
                return
            if _can_meet(mine, theirs):
                yield _overlap(configuration, one, other, mine, number)
                break


def _overlap(configuration: Configuration, one: str, other: str, mine: tuple[str, ...], number: int) -> Finding:
    pattern = configuration.services[other].paths[number]
    message = f"services {one} and {other} overlap: both '{'/'.join(mine)}' and '{pattern}' mean the same files"
    hint = "give shared code to a library that both depend on"
    return Finding(("services", other, "paths", number), message, hint)


def overlaps(configuration: Configuration, paths: Sequence[str]) -> list[Problem]:
    """Pairs of services that both have one of these files; a problem per pair, with the first such file."""
    owned = {name: set(matching(service.paths, paths)) for name, service in configuration.services.items()}
    found = []
    for (one, first), (other, second) in combinations(owned.items(), 2):
        shared = sorted(first & second)
        if shared:
            more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
            message = f"services {one} and {other} overlap: both have {shared[0]}{more}"
            found.append(Problem(message, "give shared code to a library that both depend on"))
    return found


def can_meet(one: str, other: str) -> bool:
    """Whether patterns alone tell that both mean the same files.

    A refusal must be right, so only what is certain counts: a folder and something named inside it, or
    names that fit each other. That `**/*.py` finds something in `web` only the real files can tell.
    """
    return _can_meet(_parts(one), _parts(other))


def _can_meet(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
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


def _parts(pattern: str) -> tuple[str, ...]:
    return tuple(anchored(pattern).rstrip("/").split("/"))


def _parts_meet(one: str, other: str) -> bool:
    """Whether one name could match both; of two wild ones, beginnings and ends are compared."""
    if not _WILD & set(one):
        return fnmatchcase(one, other)
    if not _WILD & set(other):
        return fnmatchcase(other, one)
    return _agree(one, other) and _agree(one[::-1], other[::-1])


def _agree(one: str, other: str) -> bool:
    """Whether the beginnings before the first `*` or class do not contradict each other."""
    for mine, theirs in zip(one, other, strict=False):
        if mine in _OPEN or theirs in _OPEN:
            return True
        if mine != theirs and "?" not in {mine, theirs}:
            return False
    return len(one) == len(other) or bool(_OPEN & {*one, *other})
