"""Graphs of names: their cycles, and what can run at the same time."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

_MOST_CYCLES = 10


def cycles(graph: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Cycles, each from the name that is declared first, at most ten; names that are not keys are left out."""
    edges = {name: {other for other in others if other in graph} for name, others in graph.items()}
    rank = {name: number for number, name in enumerate(graph)}
    found: list[tuple[str, ...]] = []
    while len(found) < _MOST_CYCLES:
        try:
            TopologicalSorter(edges).prepare()
        except CycleError as error:
            ring = list(reversed(error.args[1][1:]))
            first = min(range(len(ring)), key=lambda at: rank[ring[at]])
            found.append(tuple(ring[first:] + ring[:first]))
            _cut(edges, found[-1])
        else:
            break
    return sorted(found, key=lambda cycle: rank[cycle[0]])


def ancestors(graph: Mapping[str, Iterable[str]], name: str) -> frozenset[str]:
    """Everything that has to come before a name, at any distance."""
    found: set[str] = set()
    todo = list(graph.get(name, ()))
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo.extend(graph.get(one, ()))
    return frozenset(found)


def _cut(edges: dict[str, set[str]], cycle: tuple[str, ...]) -> None:
    for name, after in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
        edges[name].discard(after)
