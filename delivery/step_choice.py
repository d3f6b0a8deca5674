"""Choosing what happens to each step: run, skip or reuse, and why. Pure.

A step is skipped when nothing that it is about was reached; that counts as success for what needs it. When such a
step has outputs that a running step reads, it is not skipped after all, but reused or run for its outputs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from delivery.artifact import Digest
from delivery.config import Configuration
from delivery.errors import NotFoundError
from delivery.impact import ALL, Impact, is_forced, reason_for_everything, shown
from delivery.plan import Action, PlannedStep
from delivery.source import ChangeSet
from delivery.spelling import closest
from delivery.step_graph import Node
from delivery.step_key import Keys

_REUSED = "an earlier success had the same inputs, command, tools and environment"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person asked for."""

    force: frozenset[str] = frozenset()
    """Names of `--force`, and of `--only`."""
    only: frozenset[str] = frozenset()
    sandbox: bool = False
    """`--sandbox`: what is asked for runs, reusable or not, with its declared inputs alone."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What the choice is made from, beside the nodes."""

    configuration: Configuration
    changes: ChangeSet
    impacts: Mapping[str, Impact]
    keys: Keys
    succeeded: Collection[Digest]
    """Keys with a recorded success."""
    wishes: Wishes


def check_wishes(configuration: Configuration, wishes: Wishes) -> None:
    """NotFoundError for a name that `--force` or `--only` cannot mean."""
    parts = {*configuration.services, *configuration.libraries}
    for name in sorted(wishes.force - parts - {ALL}):
        raise _unknown("--force", name, "service", [*configuration.services, ALL])
    for name in sorted(one for one in wishes.only if not _can_be_asked_for(configuration, one)):
        raise _unknown("--only", name, "step or service", [*configuration.steps, *configuration.services])


def choose_steps(nodes: Sequence[Node], situation: Situation) -> tuple[PlannedStep, ...]:
    """What happens to every node, in the order given (each after what it needs)."""
    wanted_by: dict[str, str] = {}
    chosen: list[PlannedStep] = []
    for node in reversed(nodes):
        step = _choose(node, situation, wanted_by.get(node.id))
        chosen.append(step)
        if step.action is Action.RUN:
            wanted_by |= dict.fromkeys(node.needs, node.id)
    return tuple(reversed(chosen))


def _choose(node: Node, situation: Situation, consumer: str | None) -> PlannedStep:
    reached = _reached(node, situation)
    if not _asked_for(node, situation.wishes.only):
        reached = Impact(impacted=False, because=(f"not asked for: --only {' '.join(sorted(situation.wishes.only))}",))
    if consumer and node.step.outputs and not reached.impacted:
        reached = Impact(impacted=True, because=(f"'{consumer}' reads its outputs",))
    action = _action(node, situation) if reached.impacted else Action.SKIP
    because = (_REUSED, *reached.because) if action is Action.REUSE else reached.because
    key, components = situation.keys.steps[node.id], situation.keys.components.get(node.id, {})
    return PlannedStep(node.name, node.service, action, because, node.needs, key, components)


def _action(node: Node, situation: Situation) -> Action:
    wishes = situation.wishes
    doubted = wishes.sandbox and _asked_for(node, wishes.only)
    reusable = node.step.reuse and not doubted and not _is_forced(node, wishes)
    return Action.REUSE if reusable and situation.keys.steps[node.id] in situation.succeeded else Action.RUN


def _reached(node: Node, situation: Situation) -> Impact:
    """Whether anything that the node is about changed."""
    if _is_forced(node, situation.wishes):
        return Impact(impacted=True, because=("forced with --force",))
    if situation.wishes.sandbox:
        return Impact(impacted=True, because=("asked for with --sandbox",))
    if everything := reason_for_everything(situation.configuration, situation.changes):
        return Impact(impacted=True, because=(everything,))
    reasons = (*_service_reasons(node, situation), *_input_reasons(node, situation.changes))
    return Impact(impacted=True, because=reasons) if reasons else _untouched(node, situation)


def _service_reasons(node: Node, situation: Situation) -> tuple[str, ...]:
    reached = {name: situation.impacts[name].because for name in node.services if situation.impacts[name].impacted}
    if node.service:
        return reached.get(node.service, ())
    return tuple(f"service '{name}': {because[0]}" for name, because in reached.items())


def _input_reasons(node: Node, changes: ChangeSet) -> tuple[str, ...]:
    """Declared inputs that changed; for a step about the whole repository, any change."""
    if not node.step.inputs and node.services:
        return ()
    found = changes.touched.matching(node.step.inputs) if node.step.inputs else changes.touched.paths
    return (f"{'inputs ' if node.step.inputs else ''}changed: {shown(found)}",) if found else ()


def _untouched(node: Node, situation: Situation) -> Impact:
    since = f"since {(situation.changes.base or '')[:7]}"
    if node.service:
        because = f"nothing that service '{node.service}' depends on changed {since}"
    elif node.services:
        because = f"none of its services was reached {since}: {shown(node.services)}"
    else:
        because = f"none of its inputs changed {since}"
    return Impact(impacted=False, because=(because,))


def _is_forced(node: Node, wishes: Wishes) -> bool:
    return ALL in wishes.force or any(is_forced(service, wishes.force) for service in node.services)


def _asked_for(node: Node, only: Collection[str]) -> bool:
    """`--only` takes a step, a service, or `step@service`."""
    return not only or any(name in only for name in (node.name, node.id, *node.services))


def _can_be_asked_for(configuration: Configuration, name: str) -> bool:
    step, _, service = name.partition("@")
    whole = not service and (name in configuration.steps or name in configuration.services)
    return whole or (step in configuration.steps and service in configuration.services)


def _unknown(option: str, name: str, kind: str, known: Sequence[str]) -> NotFoundError:
    near = closest(name, known)
    meant = f"did you mean '{near}'? " if near else ""
    hint = f"{meant}known are: {', '.join(known) or 'none'}"
    return NotFoundError(f"reading {option} {name}: there is no such {kind}", hint=hint)
