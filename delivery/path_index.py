"""Many patterns over many paths: each pattern is tried only on what stands in the folder that it begins with.

A repository of a thousand services and a hundred thousand files is asked about in milliseconds, instead of trying
every pattern on every path. What a pattern means is said in `delivery.paths`, and is the same here.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import takewhile

from delivery.paths import anchored, matcher

_WILD = frozenset("*?[\\")
_AFTER_SLASH = "0"
"""The character after `/`: what stands in a folder sorts before the folder's name with it."""


class PathIndex:
    """Paths in the order given; remembers what each pattern found."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths
        self._order = sorted(range(len(paths)), key=paths.__getitem__)
        self._sorted = [paths[place] for place in self._order]
        self._found: dict[str, tuple[int, ...]] = {}

    def matching(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """The paths that a pattern matches, in their order."""
        return tuple(self.paths[place] for place in self.places(patterns))

    def places(self, patterns: Sequence[str]) -> Sequence[int]:
        """Where in the order those paths are; ConfigurationError for what is no pattern."""
        if len(patterns) == 1:
            return self._of(patterns[0])
        return sorted({place for pattern in patterns for place in self._of(pattern)})

    def _of(self, pattern: str) -> tuple[int, ...]:
        found = self._found.get(pattern)
        if found is None:
            found = self._found[pattern] = tuple(sorted(map(self._order.__getitem__, self._search(pattern))))
        return found

    def _search(self, pattern: str) -> Iterator[int]:
        """Places in the sorted paths."""
        whole = anchored(pattern)
        *parents, last = whole.rstrip("/").split("/")
        if not _is_plain(whole):
            literal = list(takewhile(_is_plain, (*parents, last)))
            matches = matcher((pattern,))
            yield from (place for place in self._in("/".join(literal)) if matches(self._sorted[place]))
            return
        name = "/".join((*parents, last))
        if not whole.endswith("/"):
            yield from range(bisect_left(self._sorted, name), bisect_right(self._sorted, name))
        yield from self._in(name)

    def _in(self, folder: str) -> range:
        """Everything in a folder, or everything."""
        if not folder:
            return range(len(self._sorted))
        return range(bisect_left(self._sorted, f"{folder}/"), bisect_left(self._sorted, folder + _AFTER_SLASH))


def _is_plain(text: str) -> bool:
    """Whether it stands for itself; spaces at an end are not always part of a name."""
    return _WILD.isdisjoint(text) and text == text.strip()
