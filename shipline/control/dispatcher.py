"""The dispatcher: gives every lane its next promotion, every waiting one its wake-up, every orphan a new flow run.

It is level-triggered: each tick looks at what the ledger, the leases and Prefect say now, so that a
missed event, a crash or a restart of anything needs no special case.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from delivery.connections import Connections
from delivery.ports import Lease
from delivery.promoting.judging import judge
from delivery.promoting.reminding import remind
from delivery.promoting.turn import read_promotions
from delivery.promotion import FINAL, Phase, Promotion, next_in_lane
from delivery.run import Run
from shipline.control.control import Control
from shipline.control.feeding import ALIVE, STARTING, Scene, alone, feed, is_coming
from shipline.control.queueing import queue_promotion, queue_run, standing_of

_KEPT = timedelta(days=7)
"""What has left the queue: for figures, and for the pages of flow runs."""


def tick(control: Control, *, thorough: bool) -> None:
    """Look once at everything that is not finished; `thorough` also judges what waits for time or people."""
    ports = control.ports
    leases = ports.operations.leases()
    held = {lease.name for lease in leases}
    promotions = read_promotions(ports, phase=[phase.value for phase in Phase if phase not in FINAL])
    free = {lane: members for lane, members in _by_lane(promotions).items() if lane not in held}
    following = {one.id: one for members in free.values() if (one := next_in_lane(members))}
    _queue(ports, following)
    if thorough:
        _queue_forgotten_runs(ports)
        ports.queue.forget(ports.clock.now() - _KEPT)
        _look_again(control, free, following)
    feed(control, Scene(_at_work(leases), {one.id: one for one in promotions}, following))


def wake(control: Control, promotion: Promotion) -> None:
    """Let a waiting promotion look again, in the flow run that shows its form or in a new one."""
    queue, standing = control.ports.queue, standing_of(promotion)
    entries = (one for one in queue.entries() if (one.subject, one.standing) == (promotion.id, standing))
    if any(is_coming(control, one) for one in entries):
        return
    if promotion.flow_run and control.flow_runs.wake(promotion.flow_run):
        woken = queue_promotion(control.ports, promotion)
        queue.feed(replace(woken, flow_run=promotion.flow_run, fed_at=control.ports.clock.now()))
    elif not promotion.phase.final:
        queue_promotion(control.ports, promotion)


def shows_form(control: Control, promotion: Promotion) -> bool:
    """Whether a flow run waits with the approval form, or is about to."""
    state = control.flow_runs.state(promotion.flow_run) if promotion.flow_run else None
    return state == "PAUSED" or state in STARTING | ALIVE


def _queue(ports: Connections, following: Mapping[str, Promotion]) -> None:
    known = {(one.subject, one.standing) for one in ports.queue.entries()} if following else set()
    for promotion in following.values():
        if (promotion.id, standing_of(promotion)) not in known:
            queue_promotion(ports, promotion)


def _queue_forgotten_runs(ports: Connections) -> None:
    """A request is queued as soon as it is written down, unless the control plane dies in between."""
    known = {one.subject for one in ports.queue.entries()}
    for run in (Run.read(document) for document in ports.operations.find("runs", verified_at=None)):
        if run.id not in known:
            queue_run(ports, run, run.requested_at)


def _look_again(control: Control, lanes: Mapping[str, list[Promotion]], following: Mapping[str, Promotion]) -> None:
    for members in lanes.values():
        if not any(one.id in following for one in members):
            for one in members:
                with alone(one.id):
                    look_again(control, one)


def look_again(control: Control, promotion: Promotion) -> None:
    """Wake a waiting promotion that has something to do: no gate asks it to wait, one refuses, its form is lost."""
    if promotion.phase is not Phase.WAITING:
        return
    judgement = judge(control.ports, promotion)
    if judgement.asks_a_person:
        remind(control.ports, promotion, judgement.waits)
    lost = judgement.asks_a_person and not shows_form(control, promotion)
    if promotion.abort_requested or judgement.refusals or not judgement.waits or lost:
        wake(control, promotion)


def _at_work(leases: Iterable[Lease]) -> frozenset[str]:
    """Whom the leases are held for: a run's is named for it, and who holds a lane's begins with the promotion."""
    return frozenset(lease.name.removeprefix("run:") if _of_run(lease) else _promotion(lease) for lease in leases)


def _of_run(lease: Lease) -> bool:
    return lease.name.startswith("run:")


def _promotion(lease: Lease) -> str:
    return lease.holder.partition("/")[0]


def _by_lane(promotions: Iterable[Promotion]) -> dict[str, list[Promotion]]:
    lanes: dict[str, list[Promotion]] = {}
    for promotion in promotions:
        lanes.setdefault(promotion.lane, []).append(promotion)
    return lanes
