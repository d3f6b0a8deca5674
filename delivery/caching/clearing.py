"""Looking through the cache, and taking away what was chosen, while runs read and write it."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue

from delivery.artifact import Digest, is_digest
from delivery.caching.keeping import Holdings, Removal
from delivery.connections import Connections
from delivery.plan import Plan
from delivery.run import RunState

_UNDER_WAY = (RunState.QUEUED, RunState.RUNNING)
_NAMING = ("releases", "promotions", "running")
"""Projections whose documents name blobs: definitions and migrations, configurations."""


def look(connections: Connections) -> Holdings:
    """The cache as it is now. What is under way is asked for first: a run that begins later uses what it plans."""
    seen_at = connections.clock.now()
    return Holdings(
        under_way=frozenset(_planned_keys(connections)),
        needed=frozenset(_needed(connections)),
        results=tuple(connections.near.steps.results()),
        blobs=tuple(connections.near.store.blobs()),
        seen_at=seen_at,
    )


def take_away(connections: Connections, removal: Removal, holdings: Holdings) -> Removal:
    """What really went: records first, so that none is left without its blobs; what was used meanwhile stays."""
    near, since = connections.near, holdings.unused_since
    results = tuple(one for one in removal.results if near.steps.remove(one.key, since))
    kept = {one.key for one in removal.results} - {one.key for one in results}
    named = {blob for one in removal.results if one.key in kept for blob in one.blobs}
    going = [one for one in removal.blobs if one.digest not in named]
    return Removal(results, tuple(one for one in going if near.store.remove(one.digest, since)))


def _planned_keys(connections: Connections) -> Iterator[Digest]:
    operations = connections.operations
    for state in _UNDER_WAY:
        for run in operations.find("runs", state=state.value):
            plan = (operations.load("plans", str(run["id"])) or {}).get("plan")
            if plan:
                yield from (step.key for step in Plan.from_json(plan).steps)


def _needed(connections: Connections) -> Iterator[Digest]:
    """Every digest that stands anywhere in these documents: none of them goes, whatever it is called there."""
    for table in _NAMING:
        for row in connections.ledger.rows(table):
            yield from _digests(row)


def _digests(value: JsonValue | Mapping[str, JsonValue] | Sequence[JsonValue]) -> Iterator[Digest]:
    if isinstance(value, str):
        if is_digest(value):
            yield Digest(value)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _digests(one)
    elif isinstance(value, Sequence):
        for one in value:
            yield from _digests(one)
