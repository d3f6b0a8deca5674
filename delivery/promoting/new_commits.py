"""The commits that a promotion brings live, service by service; what services share is asked of the source once."""

from functools import cache

from delivery.config import Configuration
from delivery.connections import Connections
from delivery.impact import reaching_paths
from delivery.path_index import PathIndex
from delivery.promoting.candidates import configuration_at
from delivery.promotion import Promotion, ServiceChange
from delivery.source import Commit


class NewCommits:
    """Of one promotion. What its source raises passes through, for each service anew."""

    def __init__(self, connections: Connections, promotion: Promotion) -> None:
        self._connections = connections
        self._project = promotion.project
        self._source = connections.source(promotion.project)
        self._base = cache(self._find_base)
        self._configuration = cache(self._read_configuration)
        self._touched = cache(self._find_touched)

    def of(self, change: ServiceChange) -> tuple[Commit, ...]:
        """Those that reach the service and were not live; none when nothing was, or histories are unrelated."""
        if change.previous_revision is None:
            return ()
        base = self._base(change.previous_revision, change.revision)
        if base is None or base == change.revision:
            return ()
        paths = reaching_paths(self._configuration(change.revision), change.service)
        if not self._touched(base, change.revision).places(paths):
            return ()
        return self._source.commits(base, change.revision, paths)

    def _find_base(self, previous: str, revision: str) -> str | None:
        source = self._source
        return previous if source.is_ancestor(previous, revision) else source.merge_base(previous, revision)

    def _read_configuration(self, revision: str) -> Configuration:
        return configuration_at(self._connections, self._project, revision)

    def _find_touched(self, base: str, revision: str) -> PathIndex:
        return PathIndex(sorted(self._source.touched(base, revision)))
