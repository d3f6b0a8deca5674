"""The dispatcher: gives every lane its next promotion, every waiting one its wake-up, every orphan a new flow run.

It is level-triggered: each tick looks at what the ledger, the leases and Prefect say now, so that a
missed event, a crash or a restart of anything needs no special case.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from delivery.errors import DeliveryError
from delivery.ledger import utc_text
from delivery.promoting.judging import judge
from delivery.promoting.stopping import give_up
from delivery.promoting.turn import read_promotions
from delivery.promotion import FINAL, Phase, Promotion, next_in_lane
from delivery.run import Run, RunState, lease_name
from shipline.control.control import Control

log = logging.getLogger(__name__)

STARTING = frozenset({"SCHEDULED", "PENDING"})
ALIVE = frozenset({"RUNNING", "CANCELLING"})
TAKES_LEASE_WITHIN = timedelta(seconds=20)
"""From the request of a flow run until it holds its lease, at most, once Prefect says that it runs."""
LONGEST_START = timedelta(seconds=90)
"""A flow run that has not begun by then is given up: its worker may be gone."""
MOST_STARTS = 5
"""Flow runs that may be lost in one place before the promotion or run is Errored."""


@dataclass(frozen=True, slots=True)
class Start:
    """The flow run that was last asked to take something up, and where that stood then."""

    flow_run: str
    at: datetime
    place: str
    """Changes with every step that is made, so that only starts which led nowhere are counted."""
    starts: int


def tick(control: Control, *, thorough: bool) -> None:
    """Look once at everything that is not finished; `thorough` also judges what waits for time or people."""
    leased = {lease.name for lease in control.ports.operations.leases()}
    promotions = read_promotions(control.ports, phase=[phase.value for phase in Phase if phase not in FINAL])
    for lane, members in _by_lane(promotions).items():
        following = None if lane in leased else next_in_lane(members)
        if following:
            with alone(following.id):
                take_up(control, following)
        elif thorough and lane not in leased:
            for one in members:
                with alone(one.id):
                    look_again(control, one)
    for run in _unfinished_runs(control):
        if lease_name(run.id) not in leased:
            with alone(run.id):
                take_up_run(control, run)


def take_up(control: Control, promotion: Promotion) -> None:
    """Start a pass over a promotion, unless one is on its way; after too many lost ones it is Errored."""
    last, place = _last_start(control, promotion.id), place_of(promotion)
    if last and is_coming(control, last):
        return
    starts = last.starts + 1 if last and last.place == place else 1
    if starts > MOST_STARTS:
        give_up(control.ports, promotion, f"{MOST_STARTS} flow runs were lost while {promotion.phase}")
        return
    flow_run = control.flow_runs.start(
        "promote-release",
        promotion.project,
        {"promotion": promotion.id},
        key=f"{promotion.id}/{place}/{starts}",
        environment=promotion.environment,
        name=f"{promotion.environment} {promotion.id}",
    )
    _save(control, promotion.id, promotion.project, Start(flow_run, control.ports.clock.now(), place, starts))


def place_of(promotion: Promotion) -> str:
    """Where a promotion stands, as of when: each of its steps leads to another place."""
    moved = promotion.moved_at or promotion.requested_at
    return f"{promotion.phase}/{utc_text(moved)}"


def wake(control: Control, promotion: Promotion) -> None:
    """Let a waiting promotion look again, in the flow run that shows its form or in a new one."""
    last = _last_start(control, promotion.id)
    if last and is_coming(control, last):
        return
    if promotion.flow_run and control.flow_runs.wake(promotion.flow_run):
        start = Start(promotion.flow_run, control.ports.clock.now(), place_of(promotion), 0)
        _save(control, promotion.id, promotion.project, start)
    elif not promotion.phase.final:
        take_up(control, promotion)


def look_again(control: Control, promotion: Promotion) -> None:
    """Wake a waiting promotion that has something to do: no gate asks it to wait, one refuses, its form is lost."""
    if promotion.phase is not Phase.WAITING:
        return
    judgement = judge(control.ports, promotion)
    lost = judgement.asks_a_person and not shows_form(control, promotion)
    if promotion.abort_requested or judgement.refusals or not judgement.waits or lost:
        wake(control, promotion)


def shows_form(control: Control, promotion: Promotion) -> bool:
    """Whether a flow run waits with the approval form, or is about to."""
    state = control.flow_runs.state(promotion.flow_run) if promotion.flow_run else None
    return state == "PAUSED" or state in STARTING | ALIVE


def take_up_run(control: Control, run: Run) -> None:
    """Start a flow run for a run that nobody works on; after too many lost ones it is Errored."""
    last, place = _last_start(control, run.id), f"attempt {run.attempt}"
    if last and is_coming(control, last):
        return
    starts = last.starts + 1 if last and last.place == place else 1
    if starts > MOST_STARTS:
        problem = f"{MOST_STARTS} flow runs were lost; shipline retry {run.id} tries again"
        ended = run.ended(RunState.ERRORED, problem, control.ports.clock.now())
        control.ports.operations.save("runs", run.id, run.project, ended.document())
        return
    flow_run = control.flow_runs.start(
        "deliver-revision", run.project, {"run": run.id}, key=f"{run.id}/{place}/{starts}", name=f"run {run.id}"
    )
    _save(control, run.id, run.project, Start(flow_run, control.ports.clock.now(), place, starts))


def is_coming(control: Control, start: Start) -> bool:
    """Whether the flow run that was asked may still take its lease."""
    age = control.ports.clock.now() - start.at
    state = control.flow_runs.state(start.flow_run)
    return (state in STARTING and age < LONGEST_START) or (state in ALIVE and age < TAKES_LEASE_WITHIN)


def _by_lane(promotions: Iterable[Promotion]) -> dict[str, list[Promotion]]:
    lanes: dict[str, list[Promotion]] = {}
    for promotion in promotions:
        lanes.setdefault(promotion.lane, []).append(promotion)
    return lanes


def _unfinished_runs(control: Control) -> list[Run]:
    return [Run.read(document) for document in control.ports.operations.find("runs", verified_at=None)]


def _last_start(control: Control, key: str) -> Start | None:
    document = control.ports.operations.load("flow_runs", key)
    if document is None:
        return None
    at = datetime.fromisoformat(str(document["at"]))
    return Start(str(document["flow_run"]), at, str(document["place"]), int(str(document["starts"])))


def _save(control: Control, key: str, project: str, start: Start) -> None:
    document: dict[str, JsonValue] = {
        "flow_run": start.flow_run,
        "at": utc_text(start.at),
        "place": start.place,
        "starts": start.starts,
    }
    control.ports.operations.save("flow_runs", key, project, document)


@contextmanager
def alone(what: str) -> Iterator[None]:
    """One thing's trouble is logged and does not stop the others; the next tick tries again."""
    try:
        yield
    except DeliveryError as error:
        log.warning("dispatching %s: %s", what, error.message)
