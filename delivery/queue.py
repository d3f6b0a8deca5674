"""The queue: what waits for a flow run to take it up, in which order, and how many are at work at once.

Production goes before staging, staging before what is below, all promotions before runs; among equals the
project that is served least comes first, so that one project's hundred runs do not hold up another's first.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from delivery.policy import Tier


class Priority(IntEnum):
    """What is served first: the lowest number."""

    PRODUCTION = 0
    STAGING = 1
    TESTING = 2
    DEVELOPMENT = 3
    RUN = 4
    """Verifying and building a revision."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A run or a promotion, where it stands, that a flow run is to take up."""

    subject: str
    """Id of the run or promotion."""
    standing: str
    """Where it stands; every step that it makes leads to another one, which is queued anew."""
    project: str
    priority: Priority
    asked_at: datetime
    environment: str | None = None
    """Of a promotion; None for a run."""
    flow_run: str | None = None
    """Which flow run was asked last to take it up."""
    fed_at: datetime | None = None
    """When that was; None while it waits for a slot."""
    begun_at: datetime | None = None
    """When a process first began to work on it."""
    starts: int = 0
    """Flow runs that were asked so far, where it stands."""


@dataclass(frozen=True, slots=True)
class Slots:
    """How many flow runs work side by side. Promotions have their own: no number of runs holds one up."""

    runs: int
    promotions: int


def priority_of(tier: Tier) -> Priority:
    """Of promotions into an environment of a tier."""
    return Priority[tier.upper()]


def in_order(waiting: Iterable[Queued], working: Iterable[Queued]) -> list[Queued]:
    """What waits, in the order in which it is served: an entry's place is its index."""
    served = Counter(one.project for one in working)
    lanes: defaultdict[Priority, list[Queued]] = defaultdict(list)
    for one in sorted(waiting, key=lambda one: (one.asked_at, one.subject)):
        lanes[one.priority].append(one)
    return [one for priority in sorted(lanes) for one in _fairly(lanes[priority], served)]


def _fairly(waiting: Iterable[Queued], served: Counter[str]) -> Iterator[Queued]:
    """One at a time of the project that is served least; `served` counts on."""
    projects: defaultdict[str, deque[Queued]] = defaultdict(deque)
    for one in waiting:
        projects[one.project].append(one)
    while projects:
        project = min(projects, key=lambda name: (served[name], projects[name][0].asked_at, name))
        served[project] += 1
        yield projects[project].popleft()
        if not projects[project]:
            del projects[project]


def next_up(waiting: Iterable[Queued], working: Sequence[Queued], slots: Slots) -> list[Queued]:
    """What is to be started now: the first in order for which a slot is free."""
    runs = sum(one.priority is Priority.RUN for one in working)
    free = {True: slots.runs - runs, False: slots.promotions - (len(working) - runs)}
    started = []
    for one in in_order(waiting, working):
        kind = one.priority is Priority.RUN
        if free[kind] > 0:
            free[kind] -= 1
            started.append(one)
    return started
