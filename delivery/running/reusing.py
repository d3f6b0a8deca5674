"""A run whose every step and artifact is there already: answered at once, without a flow run."""

import logging

from delivery.connections import Connections
from delivery.leases import kept
from delivery.plan import Action, Plan
from delivery.run import BuiltService, Run, RunState
from delivery.running.releasing import finish, make_release, record, request_first
from delivery.running.steps import tell_all, verdict, without_running
from delivery.running.work import RunWork, take_run
from delivery.step_execution import reuse_step

_logger = logging.getLogger("shipline.control")


def asks_for_nothing_new(plan: Plan) -> bool:
    """Whether the plan executes no step and builds no artifact."""
    steps = all(one.action is not Action.RUN for one in plan.steps)
    return steps and all(one.artifact is not None for one in plan.services)


def answer(connections: Connections, run: Run) -> bool:
    """Do the whole run from what is kept; False, and it waits for a flow run, when something of that cannot be read.

    All that was told until then is told again by that flow run, which changes nothing.
    """
    try:
        work = take_run(connections, run.id, None)
        if work is None:
            return False
        with kept(connections.operations, work.lease, connections.pace.lease, lost=work.cancelled):
            return _reused(work) and _ended(work)
    except Exception:  # a flow run meets it again, and can say so at length
        _logger.exception("answering run %s from what is kept", run.id)
        return False


def _reused(work: RunWork) -> bool:
    """Bring every result and artifact back, as far as all are whole."""
    ports = work.connections
    for planned in work.plan.steps:
        needs = [work.results[name] for name in planned.needs if name in work.results]
        log = work.logs / f"{planned.id}.log"
        result = without_running(planned, needs, stopped=False)
        result = result or reuse_step(planned, ports.store, ports.step_cache, log, shares=work.plan.shares)
        if result is None:
            return False
        work.results[planned.id] = result
    tell_all(work)
    if work.run.partial:
        return True
    known = [BuiltService(one.name, one.artifact, reused=True) for one in work.plan.services if one.artifact]
    work.built.extend(known)
    return all(ports.artifacts.has(one.digest) for one in known)


def _ended(work: RunWork) -> bool:
    """Tell of its release and ask for promotions, as any run that has passed."""
    state, problem = verdict(work.plan.steps, work.results)
    if state is RunState.COMPLETED and not work.run.partial:
        release = make_release(work, work.built)
        record(work, release)
        if release:
            request_first(work, release)
    finish(work, state, problem)
    return True
