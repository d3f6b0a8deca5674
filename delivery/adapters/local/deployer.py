"""The deployer of one machine: services as supervised processes behind a router. No isolation, no second machine.

It writes what should run and waits; the data plane's supervisor makes it so. So a deployer may die at any point,
and another one, in another process, goes on with the same handle.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from delivery.adapters.local import launching, preparing, transitions
from delivery.adapters.local.data_plane import DataPlane, ensure_supervisor, start_environments
from delivery.adapters.local.observing import observe, routes_of, serves
from delivery.adapters.local.state import Desired, EnvironmentState, Observation, Side
from delivery.adapters.local.wanted import is_router
from delivery.errors import StaleFenceError, TransientError
from delivery.home import Home
from delivery.ports import ArtifactStore
from delivery.rollout import Candidate, Handle, Observed, Progress, RolloutPlan, Target

Condition = Callable[[Desired, Observation], bool]
_LOOK_SECONDS = 0.1
_ROUTER_SECONDS = 30.0
_STOP_SECONDS = 15.0


class LocalDeployer:
    """`delivery.ports.Deployer` for the environments of one home."""

    def __init__(self, home: Home, artifacts: ArtifactStore) -> None:
        self._home, self._artifacts = home, artifacts

    def observe(self, target: Target) -> Observed:
        """A supervisor that is not there, and was not stopped on purpose, is started again."""
        state = EnvironmentState(self._home, target)
        desired = state.desired()
        observed = observe(target, desired, state.observation(), watched=DataPlane(self._home).watched())
        if desired.sides:
            self._keep_watched()
        return observed

    def plan(self, target: Target, candidate: Candidate, observed: Observed) -> RolloutPlan:
        return transitions.plan_rollout(target, candidate, observed)

    def apply(self, plan: RolloutPlan, fence: int) -> Handle:
        state = EnvironmentState(self._home, plan.target)
        desired = state.change(fence, lambda before: transitions.claimed(before, plan, fence))
        if desired.applied != transitions.application(plan, fence):
            desired = self._apply(state, desired, plan, fence)
        start_environments(self._home)
        return Handle(plan.target, plan.candidate.digest, desired.generation, fence)

    def watch(self, handle: Handle, deadline: datetime) -> Iterator[Progress]:
        while True:
            progress = self._look(handle)
            yield progress
            if progress.healthy or progress.failed or datetime.now(UTC) >= deadline:
                return
            time.sleep(_LOOK_SECONDS)

    def shift(self, handle: Handle, percent: int, fence: int) -> Observed:
        state = EnvironmentState(self._home, handle.target)

        def change(before: Desired) -> Desired:
            if before.candidate != handle.candidate:
                raise StaleFenceError(
                    f"shifting traffic in {handle.target.environment}: another candidate was applied since",
                    hint="nothing was changed",
                )
            return transitions.shifted(before, percent)

        state.change(fence, change)
        self._wait(state, fence, _ROUTER_SECONDS, "the router to serve the new shares", _routers_serve)
        return self.observe(handle.target)

    def retire(self, handle: Handle, fence: int) -> Observed:
        state = EnvironmentState(self._home, handle.target)
        grace = max((side.run.stop_grace_seconds for side in state.desired().sides), default=0.0)
        state.change(fence, transitions.retired)
        # The grace is given twice: to open requests, then to the process.
        self._wait(state, fence, 2 * grace + _STOP_SECONDS, "old instances to stop", _nothing_else_runs)
        state.change(fence, lambda now: preparing.remove_unused(state.folder, now))
        return self.observe(handle.target)

    def _apply(self, state: EnvironmentState, desired: Desired, plan: RolloutPlan, fence: int) -> Desired:
        ports = preparing.choose_ports(self._home, state, desired, plan)
        after = transitions.applied(desired, plan, fence, ports)
        for side in after.sides:
            preparing.unpack(self._artifacts, side.artifact, state.folder)
        for service in plan.start:
            side = next(side for side in after.sides if side.id == after.current[service])
            desired = self._prepare(state, desired, side, plan, fence)
        expected = desired.generation

        def change(before: Desired) -> Desired:
            return transitions.applied(transitions.as_planned(before, expected, plan.target), plan, fence, ports)

        return state.change(fence, change)

    def _prepare(self, state: EnvironmentState, desired: Desired, side: Side, plan: RolloutPlan, fence: int) -> Desired:
        """Run `before_rollout`, unless it has succeeded for this application already."""
        done = transitions.application(plan, fence)
        if side.run.before_rollout is None or desired.prepared.get(side.service) == done:
            return desired
        state.change(fence, lambda now: now)  # whoever was overtaken meanwhile must not touch the newer one's data
        preparing.run_before_rollout(plan.target, state.folder, side, self._resolver(plan.target))
        return state.change(
            fence, lambda now: now.model_copy(update={"prepared": {**now.prepared, side.service: done}})
        )

    def _resolver(self, target: Target) -> launching.Resolve:
        from delivery.adapters.encrypted_secrets import EncryptedSecrets

        secrets = EncryptedSecrets(self._home)
        return lambda reference: secrets.resolve(reference, target.project, target.environment, "before rollout")

    def _look(self, handle: Handle) -> Progress:
        state = EnvironmentState(self._home, handle.target)
        desired = state.desired()
        observed = self.observe(handle.target)
        if desired.candidate != handle.candidate:
            return Progress(
                healthy=False, failed=True, message="another candidate was applied since", observed=observed
            )
        return transitions.progress(desired, observed)

    def _wait(self, state: EnvironmentState, fence: int, seconds: float, what: str, done: Condition) -> None:
        deadline = time.monotonic() + seconds
        while True:
            desired = state.desired()
            if desired.fence > fence:
                raise StaleFenceError(
                    f"waiting for {what} in {state.target.environment}: fence {desired.fence} has acted on it since",
                    hint="another promotion has taken over this environment",
                )
            seen = state.observation()
            if done(desired, seen):
                return
            if time.monotonic() >= deadline:
                raise TransientError(
                    f"waiting for {what} in {state.target.environment}: not seen within {seconds:g} s{_unwell(seen)}",
                    hint=f"see {DataPlane(self._home).log}",
                )
            self._keep_watched()
            time.sleep(_LOOK_SECONDS)

    def _keep_watched(self) -> None:
        if not DataPlane(self._home).stopped.exists():
            ensure_supervisor(self._home)


def _unwell(seen: Observation) -> str:
    return "".join(f"; {record.id} is {record.health}: {record.message}" for record in seen.processes if record.message)


def _routers_serve(desired: Desired, seen: Observation) -> bool:
    listening = ((service, port) for service in desired.services for port in desired.listening(service))
    return all(serves(desired, service, routes_of(seen, service, port)) for service, port in listening)


def _nothing_else_runs(desired: Desired, seen: Observation) -> bool:
    sides = {side.id for side in desired.sides}
    instances = (record for record in seen.processes if not is_router(record.id))
    return seen.generation >= desired.generation and all(record.side in sides for record in instances)
