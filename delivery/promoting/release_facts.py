"""What is known of a promotion's release, for gates that compare it with what ran and runs in its environment."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from pydantic import JsonValue

from delivery.artifact import Digest
from delivery.connections import Connections
from delivery.gates.newer import ServiceLine
from delivery.ports import SourceRepository
from delivery.promoting.candidates import candidate_of, run_digest
from delivery.promoting.live import digests_of, live_services, release_services, services_of_releases
from delivery.promoting.upstreams import verified_at
from delivery.promotion import Kind, Promotion
from delivery.rollout import Candidate, Workload


def is_dirty(connections: Connections, promotion: Promotion) -> bool:
    """Whether uncommitted changes are promoted. A release made from some is clean once a commit makes the same one."""
    project, rows = promotion.project, connections.ledger.rows
    if below(connections, project, promotion.configuration_revision):
        return True
    made_dirty = rows("releases", project=project, digest=promotion.release, dirty=True)
    return bool(made_dirty) and not rows("revisions", project=project, release=promotion.release, based_on=None)


def below(connections: Connections, project: str, revision: str) -> str | None:
    """The commit below uncommitted changes; None for a commit."""
    rows = connections.ledger.rows("revisions", project=project, commit=revision)
    return str(rows[0]["based_on"]) if rows and rows[0].get("based_on") else None


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """What the ledger and the source know about what a promotion brings, beside what runs."""

    connections: Connections
    promotion: Promotion
    candidate: Candidate | None = None

    def verified_before(self) -> bool:
        """Whether the release, or each of its services, was verified here; asked of what goes back only."""
        promotion = self.promotion
        here = verified_at(self.connections, promotion.project, promotion.environment, promotion.release)
        if promotion.kind is not Kind.ROLLBACK or here:
            return True
        services = release_services(self.connections, self.promotion.project, self.promotion.release)
        rows = self.connections.ledger.rows(
            "verified", project=self.promotion.project, environment=self.promotion.environment, revoked_at=None
        )
        releases = frozenset(str(row["release"]) for row in rows)
        known = services_of_releases(self.connections, self.promotion.project, releases)
        seen = {(name, str(one["artifact"])) for each in known.values() for name, one in each.items()}
        return bool(services) and all((name, str(one["artifact"])) in seen for name, one in services.items())

    def bad(self) -> tuple[Digest, ...]:
        digests: list[JsonValue] = [*digests_of(self.connections, self.promotion)]
        rows = self.connections.ledger.rows("bad", project=self.promotion.project, digest=digests)
        return tuple(Digest(str(row["digest"])) for row in rows)

    def lines(self) -> tuple[ServiceLine, ...]:
        """How each service's line of history goes on from what is live; one that the release lacks would end."""
        proposed, running = self._proposed(), self._running()
        names = sorted(proposed.keys() | running.keys())
        relation = cache(self._relation)  # most services went live together
        return tuple(_line(name, proposed.get(name), running.get(name), relation) for name in names)

    def changes(self) -> list[dict[str, JsonValue]]:
        """Services whose artifact or way to run would change: `{service, from, to, first}`, digests; "" for none."""
        proposed, running = self._proposed(), self._running()
        changed = [one for name, one in proposed.items() if not _is_same(one, running.get(name))]
        return [_changed(one.service, one.artifact, running.get(one.service)) for one in changed] + [
            _changed(name, "", running[name]) for name in sorted(running.keys() - proposed.keys())
        ]

    def _proposed(self) -> dict[str, Workload]:
        candidate = self.candidate or candidate_of(self.connections, self.promotion)
        return {one.service: one for one in candidate.workloads}

    def _running(self) -> dict[str, dict[str, JsonValue]]:
        return live_services(self.connections, self.promotion.project, self.promotion.environment)

    def _relation(self, live: str) -> str:
        source = self.connections.source(self.promotion.project)
        return _relation(source, self._commit(live), self._commit(self.promotion.configuration_revision))

    def _commit(self, revision: str) -> str:
        """The commit that stands for a revision: of uncommitted changes, the one below them."""
        return below(self.connections, self.promotion.project, revision) or revision


def _line(
    name: str, proposed: Workload | None, live: dict[str, JsonValue] | None, relation: Callable[[str], str]
) -> ServiceLine:
    if live is None:
        return ServiceLine(name, "first")
    if proposed and _is_same(proposed, live):
        return ServiceLine(name, "same")
    return ServiceLine(name, relation(str(live["revision"])))


def _is_same(proposed: Workload, live: dict[str, JsonValue] | None) -> bool:
    return live is not None and (live["artifact"], live["run"]) == (proposed.artifact, run_digest(proposed))


def _changed(service: str, to: str, live: dict[str, JsonValue] | None) -> dict[str, JsonValue]:
    return {"service": service, "from": str(live["artifact"]) if live else "", "to": to, "first": live is None}


def _relation(source: SourceRepository, live: str, proposed: str) -> str:
    if source.is_ancestor(live, proposed):
        return "newer"
    if source.is_ancestor(proposed, live):
        return "older"
    return "diverged" if source.merge_base(live, proposed) else "unrelated"
