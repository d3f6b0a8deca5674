"""Runs as they are asked for: written down with their plan, or written down first and planned at their turn."""

from dataclasses import asdict, replace
from typing import Any

import uuid6

from delivery.actor import Actor
from delivery.artifact import Digest
from delivery.canonical import canonical_digest
from delivery.connections import Connections
from delivery.errors import ConfigurationError, DeliveryError, TransientError
from delivery.plan import Plan
from delivery.promoting.accepting import policies_in_force, propose
from delivery.promoting.candidates import configuration_at
from delivery.run import ENDED, Run, RunState
from delivery.running.reusing import answer, asks_for_nothing_new
from delivery.source import FULL_COMMIT
from shipline.control.control import Control
from shipline.control.planning import Asked, plan
from shipline.control.queueing import queue_run


def start_run(control: Control, project: str, asked: Asked, actor: Actor) -> Run:
    """Plan a run and write it down; the dispatcher starts it, unless all of it is there already.

    The same request or work under way is one run. What is wrong with the revision is raised, and nothing changed.
    """
    connections = control.ports
    planned = plan(connections, project, asked)
    digest = canonical_digest(planned.to_json())
    same = _same_request(connections, project, asked) or _same_work(connections, project, digest)
    if same:
        return same
    run = _new_run(connections, project, asked, actor, planned.revision.commit)
    run = replace(run, based_on=planned.revision.based_on, plan_digest=digest)
    _keep_plan(control, run, planned, actor)
    if not (asks_for_nothing_new(planned) and answer(connections, run)):
        queue_run(connections, run, run.requested_at)
    return run


def request_run(control: Control, project: str, asked: Asked, actor: Actor) -> Run:
    """Write a run down and let it wait: it is planned when it is its turn, and ends Errored if that cannot be done.

    For hooks and whoever asks for many at once: it takes milliseconds. ConfigurationError without a full commit id.
    """
    connections = control.ports
    if asked.dirty or not FULL_COMMIT.fullmatch(asked.revision or ""):
        message = f"requesting a run of {asked.revision or 'nothing'}: what is planned later needs a full commit id"
        raise ConfigurationError(message, hint="give the commit, or ask without plan_later")
    same = _same_request(connections, project, asked)
    if same:
        return same
    run = _new_run(connections, project, asked, actor, str(asked.revision))
    connections.operations.save("plans", run.id, project, {"asked": _document(asked), "actor": asdict(actor)})
    connections.operations.save("runs", run.id, project, run.document())
    queue_run(connections, run, run.requested_at)
    return run


def plan_at_last(control: Control, run: Run) -> bool:
    """Plan a run whose turn it is; whether a flow run is still to take it up.

    TransientError when nobody could find out: it goes on waiting.
    """
    kept: dict[str, Any] = control.ports.operations.load("plans", run.id) or {}
    if "asked" not in kept:
        return True
    try:
        planned = plan(control.ports, run.project, Asked(**kept["asked"]))
        run = replace(run, plan_digest=canonical_digest(planned.to_json()))
        _keep_plan(control, run, planned, Actor(**kept["actor"]))
    except TransientError:
        raise
    except DeliveryError as error:
        ended = run.ended(RunState.ERRORED, error.message, control.ports.clock.now())
        control.ports.operations.save("runs", run.id, run.project, ended.document())
        return False
    return not (asks_for_nothing_new(planned) and answer(control.ports, run))


def _new_run(connections: Connections, project: str, asked: Asked, actor: Actor, commit: str) -> Run:
    return Run(
        id=str(uuid6.uuid7()),
        project=project,
        revision=commit,
        based_on=None,
        requested_at=connections.clock.now(),
        requested_by=actor.subject,
        partial=bool(asked.only),
        hotfix=asked.hotfix,
        request=asked.request,
    )


def _keep_plan(control: Control, run: Run, planned: Plan, actor: Actor) -> None:
    """With all that has to be there before the run starts: the policy that it proposes, Prefect's deployments."""
    connections = control.ports
    propose(connections, run.project, configuration_at(connections, run.project, run.revision), actor)
    environments = [one.environment for one in policies_in_force(connections, run.project)]
    control.flow_runs.ensure_deployments(run.project, environments)
    connections.operations.save("plans", run.id, run.project, {"plan": planned.to_json()})
    connections.operations.save("runs", run.id, run.project, run.document())


def _same_request(connections: Connections, project: str, asked: Asked) -> Run | None:
    if asked.request:
        for document in connections.operations.find("runs", project=project, request=asked.request):
            return Run.read(document)
    return None


def _same_work(connections: Connections, project: str, digest: Digest) -> Run | None:
    for document in connections.operations.find("runs", project=project, plan_digest=digest):
        run = Run.read(document)
        if run.state not in ENDED and run.verified_at is None:
            return run
    return None


def _document(asked: Asked) -> dict[str, Any]:
    return {**asdict(asked), "only": [*asked.only], "force": [*asked.force]}
