"""How a candidate, a share of traffic, or the end of a rollout changes what should run. Pure."""

from collections.abc import Iterable, Mapping

from delivery.adapters.local.state import Desired, Side
from delivery.canonical import canonical_digest
from delivery.errors import TransientError
from delivery.rollout import Candidate, HealthState, Instance, Observed, Progress, RolloutPlan, Target, Workload
from delivery.supervision import CRASH_LOOP_EXITS

_CONTENT_LENGTH = 12
_UNWELL = {HealthState.DOWN, HealthState.DEGRADED}


def content_of(workload: Workload) -> str:
    """A short name for what a workload runs: the same artifact run the same way has the same."""
    return canonical_digest([workload.artifact, workload.run.model_dump(mode="json")])[7:][:_CONTENT_LENGTH]


def side_of(instance: str) -> str:
    """The side that an instance belongs to, by its id."""
    return instance.rpartition("-")[0]


def plan_rollout(target: Target, candidate: Candidate, observed: Observed) -> RolloutPlan:
    """Which services start anew. One whose instances are not well starts anew too: that is what heals it."""
    keep = {one.service for one in candidate.workloads if _runs(one, observed.instances)}
    names = {one.service for one in candidate.workloads}
    return RolloutPlan(
        target=target,
        candidate=candidate,
        base_generation=observed.generation,
        start=tuple(sorted(names - keep)),
        keep=tuple(sorted(keep)),
        stop=tuple(sorted({one.service for one in observed.instances} - names)),
    )


def _runs(workload: Workload, instances: Iterable[Instance]) -> bool:
    prefix = f"{workload.service}-{content_of(workload)}-"
    mine = [one for one in instances if one.service == workload.service and one.id.startswith(prefix)]
    return len(mine) >= workload.run.instances and not any(one.health in _UNWELL for one in mine)


def progress(desired: Desired, observed: Observed) -> Progress:
    """Where the candidate's instances stand. One that ends over and over, or is not healthy in time, never will be."""
    current = {side.id: side for side in desired.sides if side.id in desired.current.values()}
    mine = [one for one in observed.instances if side_of(one.id) in current]
    waited = [one for one in mine if one.health is not HealthState.HEALTHY]
    lost = [one for one in waited if one.health is HealthState.DEGRADED or _ends_again_and_again(one)]
    expected = sum(side.run.instances for side in current.values())
    healthy = len(mine) - len(waited)
    message = "; ".join(f"{one.service} is {one.health}: {one.message}" for one in lost or waited)
    return Progress(
        healthy=not waited and healthy >= expected,
        failed=bool(lost),
        message=f"{healthy} of {expected} instances are healthy" + (f"; {message}" if message else ""),
        observed=observed,
    )


def _ends_again_and_again(instance: Instance) -> bool:
    return instance.health is HealthState.DOWN and instance.restarts >= CRASH_LOOP_EXITS


def application(plan: RolloutPlan, fence: int) -> str:
    """What makes two applications the same one."""
    return f"{plan.candidate.digest}@{fence}"


def claimed(before: Desired, plan: RolloutPlan, fence: int) -> Desired:
    """Take the target with the fence, before anything is prepared."""
    if before.applied == application(plan, fence):
        return before
    return as_planned(before, plan.base_generation, plan.target)


def as_planned(before: Desired, generation: int, target: Target) -> Desired:
    """The state, if it still is what the rollout was planned on; TransientError if not."""
    if before.generation != generation:
        raise TransientError(
            f"rolling out {target.project} to {target.environment}: it has changed since the rollout was planned",
            hint="plan again",
        )
    return before


def applied(desired: Desired, plan: RolloutPlan, fence: int, ports: Mapping[str, int]) -> Desired:
    """The candidate's sides beside those with traffic; sides that have none and are not the candidate's go.

    What serves keeps its port until the candidate's side has taken over.
    """
    mine = tuple(_side(desired, one, plan, fence) for one in plan.candidate.workloads)
    ids = {side.id for side in mine}
    others = tuple(side for side in desired.sides if side.percent > 0 and side.id not in ids)
    serving = {side.service for side in others} | {side.service for side in mine if side.percent > 0}
    moving = {name: port for name, port in ports.items() if name in serving and desired.ports.get(name, port) != port}
    return desired.model_copy(
        update={
            "candidate": plan.candidate.digest,
            "release": plan.candidate.release,
            "applied": application(plan, fence),
            "current": {side.service: side.id for side in mine},
            "sides": (*others, *mine),
            "ports": {**desired.ports, **{name: port for name, port in ports.items() if name not in moving}},
            "moving": moving,
        }
    )


def _side(desired: Desired, workload: Workload, plan: RolloutPlan, fence: int) -> Side:
    content = content_of(workload)
    fresh = f"{workload.service}-{content}-{fence}"
    kept = [side for side in desired.of(workload.service) if side.content == content]
    if workload.service in plan.start:
        kept = [side for side in kept if side.id == fresh]
    if kept:
        return kept[-1]
    return Side(
        id=fresh,
        service=workload.service,
        artifact=workload.artifact,
        release=plan.candidate.release,
        run=workload.run,
    )


def shifted(desired: Desired, percent: int) -> Desired:
    """Give the candidate this share of every service, and the rest to what served before."""
    shares: dict[str, int] = {}
    for service in desired.services:
        shares |= _shares(desired.of(service), desired.current.get(service), percent)
    sides = tuple(side.model_copy(update={"percent": shares[side.id]}) for side in desired.sides)
    return desired.model_copy(update={"sides": sides})


def _shares(sides: tuple[Side, ...], current: str | None, percent: int) -> dict[str, int]:
    """A service's only side keeps what it has: there is nobody to share with."""
    shares = dict.fromkeys((side.id for side in sides), 0)
    others = [side for side in sides if side.id != current]
    if current is None:
        percent = 100 if percent == 100 else 0  # noqa: PLR2004  # per cent: its service ends with the shift of all traffic
    if current is not None and not others:
        serves = percent > 0 or sides[-1].percent > 0
        return {current: 100 if serves else 0}
    if others:
        stable = max(reversed(others), key=lambda side: side.percent)
        shares[stable.id] = 100 - percent
    if current is not None:
        shares[current] = percent
    return shares


def retired(desired: Desired) -> Desired:
    """Only what has traffic stays; the artifacts of what goes are remembered as the previous ones.

    A port that the candidate wants is its service's from here on, or never if something else serves.

    Where the candidate's side goes, what serves is current again: a share given later must not end the service.
    """
    stays = tuple(side for side in desired.sides if side.percent > 0)
    gone = [side.artifact for side in desired.sides if side.percent == 0]
    moved = {name: port for name, port in desired.moving.items() if desired.has_taken_over(name)}
    desired = desired.model_copy(update={"ports": {**desired.ports, **moved}, "moving": {}})
    if not gone:
        return desired
    kept, serving = {side.id for side in stays}, {side.service: side.id for side in stays}
    current = {
        service: side if side in kept else serving[service]
        for service, side in desired.current.items()
        if side in kept or service in serving
    }
    return desired.model_copy(update={"sides": stays, "previous": tuple(sorted(set(gone))), "current": current})
