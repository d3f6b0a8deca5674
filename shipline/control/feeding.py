"""Feeding: gives what waits in the queue a flow run, in order, as slots get free.

A slot is taken by whoever holds a lease of ours, and by a flow run that may still take one; it is free
again when the lease lapses, whatever has happened to the process.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum, auto

from delivery.errors import DeliveryError
from delivery.promoting.stopping import give_up
from delivery.promotion import Promotion
from delivery.queue import Priority, Queued, Slots, next_up
from delivery.run import Run, RunState
from delivery.running.work import read_run
from shipline.control.control import Control
from shipline.control.queueing import standing_of, standing_of_run
from shipline.control.requesting import plan_at_last

log = logging.getLogger(__name__)

_SIDE_BY_SIDE = max(4, 2 * (os.cpu_count() or 1))
SLOTS = Slots(runs=_SIDE_BY_SIDE, promotions=_SIDE_BY_SIDE)
STARTING = frozenset({"SCHEDULED", "PENDING"})
ALIVE = frozenset({"RUNNING", "CANCELLING"})
SOON = timedelta(seconds=3)
"""A flow run that was asked this lately is on its way: Prefect, who has enough to do then, is not asked about it."""
TAKES_LEASE_WITHIN = timedelta(seconds=20)
"""From the request of a flow run until it holds its lease, at most, once Prefect says that it runs."""
LONGEST_START = timedelta(seconds=90)
"""A flow run that a worker has taken up and that has not begun by then is given up."""
HOLDS_A_SLOT = timedelta(seconds=10)
"""One that no worker takes up for longer (its work pool is paused) does not keep others waiting."""
MOST_STARTS = 5
"""Flow runs that may be lost in one place before the promotion or run is Errored."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a tick has seen of the ledger and the leases."""

    at_work: frozenset[str] = frozenset()
    """Runs and promotions that a process works on."""
    promotions: dict[str, Promotion] = field(default_factory=dict)
    """All that are not final."""
    following: dict[str, Promotion] = field(default_factory=dict)
    """Those of them whose turn it is in their lanes."""


class _Stand(Enum):
    GONE = auto()
    WAITS = auto()
    WORKS = auto()
    COMES_LATE = auto()


def feed(control: Control, scene: Scene) -> None:
    """Look once at every entry, and start what is next."""
    found: dict[_Stand, list[Queued]] = {stand: [] for stand in _Stand}
    for entry in control.ports.queue.entries():
        with alone(entry.subject):
            found[_stand(control, entry, scene)].append(entry)
    for entry in found[_Stand.GONE]:
        control.ports.queue.leave(entry)
    for entry in next_up(found[_Stand.WAITS], found[_Stand.WORKS], SLOTS):
        with alone(entry.subject):
            _start(control, entry, scene)


def is_coming(control: Control, entry: Queued) -> bool:
    """Whether the flow run that was asked may still take its lease."""
    if entry.flow_run is None or entry.fed_at is None:
        return False
    age = control.ports.clock.now() - entry.fed_at
    if age < SOON:
        return True
    match control.flow_runs.state(entry.flow_run):
        case "SCHEDULED":
            return True
        case "PENDING":
            return age < LONGEST_START
        case state:
            return state in ALIVE and age < TAKES_LEASE_WITHIN


def _stand(control: Control, entry: Queued, scene: Scene) -> _Stand:
    if entry.subject in scene.at_work:
        return _Stand.WORKS
    if not _is_wanted(control, entry, scene):
        return _Stand.GONE
    if entry.flow_run is None or entry.fed_at is None:
        return _Stand.WAITS
    if is_coming(control, entry):
        age = control.ports.clock.now() - entry.fed_at
        return _Stand.WORKS if age < HOLDS_A_SLOT else _Stand.COMES_LATE
    woken = entry.environment is not None and entry.subject not in scene.following
    return _Stand.GONE if woken else _Stand.WAITS


def _is_wanted(control: Control, entry: Queued, scene: Scene) -> bool:
    """Whether it still stands where it was queued; of runs only those are read that have been started, or will be."""
    if entry.priority is not Priority.RUN:
        promotion = scene.promotions.get(entry.subject)
        return promotion is not None and standing_of(promotion) == entry.standing
    return entry.flow_run is None or _goes_on(read_run(control.ports, entry.subject), entry)


def _is_ready(control: Control, entry: Queued) -> bool:
    """Whether it is still to be taken up; with its plan, if it had none."""
    run = read_run(control.ports, entry.subject)
    return _goes_on(run, entry) and plan_at_last(control, run)


def _goes_on(run: Run, entry: Queued) -> bool:
    return run.verified_at is None and standing_of_run(run) == entry.standing


def _start(control: Control, entry: Queued, scene: Scene) -> None:
    """Ask for a flow run; after too many lost ones what it was to take up is Errored."""
    if entry.priority is Priority.RUN and not _is_ready(control, entry):
        control.ports.queue.leave(entry)
        return
    if entry.starts >= MOST_STARTS:
        _give_up(control, entry, scene)
        return
    starts = entry.starts + 1
    flow, kind = ("promote-release", "promotion") if entry.environment else ("deliver-revision", "run")
    flow_run = control.flow_runs.start(
        flow,
        entry.project,
        {kind: entry.subject},
        key=f"{entry.subject}/{entry.standing}/{starts}",
        environment=entry.environment,
        name=f"{entry.environment or kind} {entry.subject}",
    )
    control.ports.queue.feed(replace(entry, flow_run=flow_run, fed_at=control.ports.clock.now(), starts=starts))


def _give_up(control: Control, entry: Queued, scene: Scene) -> None:
    promotion = scene.promotions.get(entry.subject)
    if promotion:
        give_up(control.ports, promotion, f"{MOST_STARTS} flow runs were lost while {promotion.phase}")
    else:
        _give_up_run(control, read_run(control.ports, entry.subject))
    control.ports.queue.leave(entry)


def _give_up_run(control: Control, run: Run) -> None:
    problem = f"{MOST_STARTS} flow runs were lost; shipline retry {run.id} tries again"
    ended = run.ended(RunState.ERRORED, problem, control.ports.clock.now())
    control.ports.operations.save("runs", run.id, run.project, ended.document())


@contextmanager
def alone(what: str) -> Iterator[None]:
    """One thing's trouble is logged and does not stop the others; the next tick tries again."""
    try:
        yield
    except DeliveryError as error:
        log.warning("dispatching %s: %s", what, error.message)
