"""A deployer in memory: the same transitions as the local one, and instances that are as well as they are told."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from delivery.adapters.local import transitions
from delivery.adapters.local.state import Desired, Side, changed
from delivery.artifact import Digest
from delivery.errors import PermanentError, StaleFenceError
from delivery.rollout import Candidate, Handle, HealthState, Instance, Observed, Progress, RolloutPlan, Target


@dataclass(slots=True)
class World:
    """What outlives a deployer. Tell by artifact what is wrong, and it is, at once."""

    desired: dict[Target, Desired] = field(default_factory=dict)
    ailments: dict[Digest, str] = field(default_factory=dict)
    """Artifacts whose instances end again and again, with the reason."""
    restarts: dict[Digest, int] = field(default_factory=dict)
    """Artifacts whose instances have ended by themselves so often, and are well again."""
    refusals: dict[Digest, str] = field(default_factory=dict)
    """Artifacts whose `before_rollout` fails, with its output."""
    prepared: list[tuple[str, int]] = field(default_factory=list)
    """Every `before_rollout` that was run: service and fence."""


class InMemoryDeployer:
    """`delivery.ports.Deployer` without processes."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()

    def observe(self, target: Target) -> Observed:
        desired = self.world.desired.get(target, Desired())
        weights: dict[str, dict[Digest, int]] = {}
        for side in desired.sides:
            shares = weights.setdefault(side.service, {})
            shares[side.artifact] = shares.get(side.artifact, 0) + side.percent
        return Observed(
            target=target,
            generation=desired.generation,
            fence=desired.fence,
            candidate=desired.candidate,
            release=desired.release,
            weights=weights,
            instances=tuple(
                self._instance(side, number) for side in desired.sides for number in range(side.run.instances)
            ),
            addresses={service: f"http://127.0.0.1:{desired.port(service)}" for service in desired.services},
        )

    def plan(self, target: Target, candidate: Candidate, observed: Observed) -> RolloutPlan:
        return transitions.plan_rollout(target, candidate, observed)

    def apply(self, plan: RolloutPlan, fence: int) -> Handle:
        desired = self._change(plan.target, fence, lambda before: transitions.claimed(before, plan, fence))
        if desired.applied != transitions.application(plan, fence):
            self._prepare(plan, fence)
            ports = self._ports(desired, plan)
            desired = self._change(plan.target, fence, lambda now: transitions.applied(now, plan, fence, ports))
        return Handle(plan.target, plan.candidate.digest, desired.generation, fence)

    def watch(self, handle: Handle, deadline: datetime) -> Iterator[Progress]:
        del deadline  # instances are healthy, or will never be, at once
        observed = self.observe(handle.target)
        if observed.candidate != handle.candidate:
            yield Progress(healthy=False, failed=True, message="another candidate was applied since", observed=observed)
        else:
            yield transitions.progress(self.world.desired[handle.target], observed)

    def shift(self, handle: Handle, percent: int, fence: int) -> Observed:
        def change(before: Desired) -> Desired:
            if before.candidate != handle.candidate:
                raise StaleFenceError("another candidate was applied since")
            return transitions.shifted(before, percent)

        self._change(handle.target, fence, change)
        return self.observe(handle.target)

    def retire(self, handle: Handle, fence: int) -> Observed:
        self._change(handle.target, fence, transitions.retired)
        return self.observe(handle.target)

    def _change(self, target: Target, fence: int, change: Callable[[Desired], Desired]) -> Desired:
        before = self.world.desired.get(target, Desired())
        self.world.desired[target] = changed(before, fence, change, f"changing {target.project}/{target.environment}")
        return self.world.desired[target]

    def _prepare(self, plan: RolloutPlan, fence: int) -> None:
        for workload in plan.candidate.workloads:
            if workload.service not in plan.start or workload.run.before_rollout is None:
                continue
            self._change(plan.target, fence, lambda now: now)  # whoever was overtaken meanwhile runs nothing
            self.world.prepared.append((workload.service, fence))
            refusal = self.world.refusals.get(workload.artifact)
            if refusal:
                raise PermanentError(f"running before_rollout of {workload.service}: {refusal}")

    @staticmethod
    def _ports(desired: Desired, plan: RolloutPlan) -> dict[str, int]:
        free = iter(range(20_000 + len(desired.ports), 32_000))
        return {
            one.service: one.run.port or desired.ports.get(one.service) or next(free)
            for one in plan.candidate.workloads
        }

    def _instance(self, side: Side, number: int) -> Instance:
        ailment = self.world.ailments.get(side.artifact, "")
        return Instance(
            id=f"{side.id}-{number}",
            service=side.service,
            artifact=side.artifact,
            release=side.release,
            health=HealthState.DOWN if ailment else HealthState.HEALTHY,
            restarts=3 if ailment else self.world.restarts.get(side.artifact, 0),
            message=ailment,
            serves=side.percent > 0,
        )
