"""What every deployer does: the one in memory, and real processes behind a real router."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Protocol

import httpx
import pytest
from pydantic import TypeAdapter

from delivery.adapters.local import LocalDeployer
from delivery.adapters.local.ports import free_port
from delivery.adapters.oci_layout import OciLayoutStore
from delivery.artifact import Digest
from delivery.config import BeforeRollout
from delivery.errors import PermanentError, StaleFenceError, TransientError
from delivery.ports import Deployer
from delivery.rollout import Handle, HealthState, Observed, RolloutPlan, Target, Workload
from tests.fakes.deployer import InMemoryDeployer, World
from tests.servers.local_lab import CLIENT, LocalLab, begin, candidate_of, follow, local_lab, roll_out

PROBLEM = "no such table: carts"
FAR = datetime.now(UTC) + timedelta(days=1)
NUMBERS = count(1)


class Setting(Protocol):
    """A target to deploy to, and the means to make services misbehave."""

    def deployer(self) -> Deployer:
        """Another deployer for the same targets, as another process would have."""
        ...

    def stalling(self, meanwhile: Callable[[], object]) -> Deployer:
        """A deployer that is stopped for `meanwhile` between taking a target and its first `before_rollout`."""
        ...

    def workload(self, version: str, service: str = "web", **run: object) -> Workload: ...

    def answers(self, port: int) -> bool:
        """Whether a port is a service's that serves."""
        ...

    def crashing(self, version: str, port: int | None = None) -> Workload:
        """A service that ends at once, whenever it is started."""
        ...

    def refusing(self, version: str) -> Workload:
        """A service whose `before_rollout` prints PROBLEM and fails."""
        ...

    def prepared(self) -> list[str]:
        """One for each time that `before_rollout` of something `counted` has run."""
        ...

    def counted(self, version: str) -> Workload: ...


@dataclass(slots=True)
class InMemory:
    lab: LocalLab
    world: World

    def deployer(self) -> Deployer:
        return InMemoryDeployer(self.world)

    def stalling(self, meanwhile: Callable[[], object]) -> Deployer:
        class Stalling(InMemoryDeployer):
            def _prepare(self, plan: RolloutPlan, fence: int) -> None:
                meanwhile()
                super()._prepare(plan, fence)

        return Stalling(self.world)

    def workload(self, version: str, service: str = "web", **run: object) -> Workload:
        return self.lab.workload(version, service, **run)

    def answers(self, port: int) -> bool:
        return any(port in desired.listening("web") for desired in self.world.desired.values())

    def crashing(self, version: str, port: int | None = None) -> Workload:
        workload = self.workload(version, port=port)
        self.world.ailments[workload.artifact] = "crash loop"
        return workload

    def refusing(self, version: str) -> Workload:
        workload = self.workload(version, before_rollout=BeforeRollout(command="false"))
        self.world.refusals[workload.artifact] = PROBLEM
        return workload

    def prepared(self) -> list[str]:
        return ["done" for _ in self.world.prepared]

    def counted(self, version: str) -> Workload:
        return self.workload(version, before_rollout=BeforeRollout(command="true"))


@dataclass(slots=True)
class Local:
    lab: LocalLab

    def deployer(self) -> Deployer:
        return self.lab.deployer()

    def stalling(self, meanwhile: Callable[[], object]) -> Deployer:
        class Stalling(OciLayoutStore):
            def unpack(self, digest: Digest, folder: Path) -> None:
                super().unpack(digest, folder)
                meanwhile()

        return LocalDeployer(self.lab.home, Stalling(self.lab.home.artifacts))

    def workload(self, version: str, service: str = "web", **run: object) -> Workload:
        return self.lab.workload(version, service, **run)

    def answers(self, port: int) -> bool:
        with suppress(httpx.HTTPError):
            return CLIENT.get(f"http://127.0.0.1:{port}/").is_success
        return False

    def crashing(self, version: str, port: int | None = None) -> Workload:
        return self.workload(version, environment={"BEHAVIOUR": "crash"}, port=port)

    def refusing(self, version: str) -> Workload:
        return self.workload(version, before_rollout=BeforeRollout(command=f"echo '{PROBLEM}'; exit 3"))

    def prepared(self) -> list[str]:
        counts = self.lab.home.root / "counts"
        return counts.read_text().split() if counts.exists() else []

    def counted(self, version: str) -> Workload:
        return self.workload(
            version, before_rollout=BeforeRollout(command=f"echo done >> {self.lab.home.root / 'counts'}")
        )


@pytest.fixture(scope="module")
def lab() -> Iterator[LocalLab]:
    with local_lab() as made:
        yield made


@pytest.fixture(params=["in memory", pytest.param("local", marks=pytest.mark.integration)])
def setting(request: pytest.FixtureRequest, lab: LocalLab) -> Setting:
    return InMemory(lab, World()) if request.param == "in memory" else Local(lab)


@pytest.fixture
def target() -> Target:
    """An environment of its own for each test."""
    return Target("shop", f"staging-{next(NUMBERS)}")


def weights(observed: Observed) -> dict[Digest, int]:
    return dict(observed.weights["web"])


def test_where_nothing_was_applied_nothing_runs(setting: Setting, target: Target) -> None:
    observed = setting.deployer().observe(target)
    assert observed == Observed(target, 0, 0, None, None, {}, (), {})


def test_a_first_rollout_serves_everything_once_shifted(setting: Setting, target: Target) -> None:
    deployer, web = setting.deployer(), setting.workload("one", instances=2)
    candidate = candidate_of(web)
    handle = begin(deployer, candidate, 1, target)
    assert handle == Handle(target, candidate.digest, handle.generation, 1)
    assert follow(deployer, handle).healthy
    assert weights(deployer.observe(target)) == {web.artifact: 0}
    observed = deployer.shift(handle, 100, 1)
    assert weights(observed) == {web.artifact: 100}
    assert (observed.candidate, observed.release, observed.fence) == (candidate.digest, candidate.release, 1)
    assert [(one.health, one.artifact, one.release) for one in observed.instances] == [
        (HealthState.HEALTHY, web.artifact, candidate.release)
    ] * 2
    assert observed.addresses["web"].startswith("http://127.0.0.1:")


def test_a_second_candidate_starts_beside_the_first_and_takes_over_by_shares(setting: Setting, target: Target) -> None:
    deployer = setting.deployer()
    old, new = setting.workload("one"), setting.workload("two")
    before = roll_out(deployer, candidate_of(old), 1, target)
    handle = begin(deployer, candidate_of(new), 2, target)
    assert follow(deployer, handle).healthy
    assert weights(deployer.observe(target)) == {old.artifact: 100, new.artifact: 0}
    assert weights(deployer.shift(handle, 10, 2)) == {old.artifact: 90, new.artifact: 10}
    assert weights(deployer.shift(handle, 100, 2)) == {old.artifact: 0, new.artifact: 100}
    assert {one.artifact for one in deployer.observe(target).instances} == {old.artifact, new.artifact}
    after = deployer.retire(handle, 2)
    assert weights(after) == {new.artifact: 100}
    assert {one.artifact for one in after.instances} == {new.artifact}
    assert after.addresses == before.addresses
    assert after.generation > before.generation


def test_instances_of_one_artifact_are_told_apart_by_who_gets_traffic(setting: Setting, target: Target) -> None:
    """Only the configuration differs; whoever watches one side must not judge it by the other."""
    deployer = setting.deployer()
    old, new = (setting.workload("one", environment={"LEVEL": level}) for level in ("low", "high"))
    assert old.artifact == new.artifact
    before = {one.id for one in roll_out(deployer, candidate_of(old), 1, target).instances}
    handle = begin(deployer, candidate_of(new), 2, target)
    assert follow(deployer, handle).healthy
    assert {one.id for one in deployer.observe(target).instances if one.serves} == before
    after = deployer.shift(handle, 100, 2)
    assert {one.id for one in after.instances if not one.serves} == before
    deployer.retire(handle, 2)


def test_a_candidate_without_traffic_can_be_taken_away_again(setting: Setting, target: Target) -> None:
    deployer, old = setting.deployer(), setting.workload("one")
    roll_out(deployer, candidate_of(old), 1, target)
    handle = begin(deployer, candidate_of(setting.workload("two")), 2, target)
    deployer.shift(handle, 0, 2)
    assert weights(deployer.retire(handle, 2)) == {old.artifact: 100}


def test_rolling_back_is_applying_the_earlier_candidate(setting: Setting, target: Target) -> None:
    deployer, old, new = setting.deployer(), setting.workload("one"), setting.workload("two")
    roll_out(deployer, candidate_of(old), 1, target)
    roll_out(deployer, candidate_of(new), 2, target)
    observed = roll_out(deployer, candidate_of(old), 3, target)
    assert weights(observed) == {old.artifact: 100}
    assert observed.candidate == candidate_of(old).digest


def test_applying_the_same_again_changes_nothing(setting: Setting, target: Target) -> None:
    deployer, candidate = setting.deployer(), candidate_of(setting.workload("one"))
    observed = roll_out(deployer, candidate, 1, target)
    plan = deployer.plan(target, candidate, observed)
    assert (plan.start, plan.keep, plan.stop) == ((), ("web",), ())
    for _ in range(2):
        handle = deployer.apply(plan, 1)
        assert follow(deployer, handle).healthy
    assert ids(deployer.observe(target)) == ids(observed)
    assert weights(deployer.observe(target)) == weights(observed)


def test_an_application_whose_answer_was_lost_is_found_again(setting: Setting, target: Target) -> None:
    deployer, candidate = setting.deployer(), candidate_of(setting.counted("one"))
    before = len(setting.prepared())
    plan = deployer.plan(target, candidate, deployer.observe(target))
    first = deployer.apply(plan, 1)
    assert setting.deployer().apply(plan, 1) == first
    assert len(setting.prepared()) - before == 1


def test_a_holder_that_was_overtaken_before_its_command_never_runs_it(setting: Setting, target: Target) -> None:
    """An older release's migration would spoil the newer one's data."""
    older, newer = (candidate_of(setting.counted(version)) for version in ("older", "newer"))
    before = len(setting.prepared())
    slow = setting.stalling(lambda: roll_out(setting.deployer(), newer, 2, target))
    with pytest.raises(StaleFenceError, match="fence 2 has acted on it since"):
        slow.apply(slow.plan(target, older, slow.observe(target)), 1)
    assert len(setting.prepared()) - before == 1
    assert setting.deployer().observe(target).candidate == newer.digest


def test_a_stale_holder_changes_nothing(setting: Setting, target: Target) -> None:
    one, other = setting.deployer(), setting.deployer()
    slow, fast = candidate_of(setting.workload("slow")), candidate_of(setting.workload("fast"))
    plan = one.plan(target, slow, one.observe(target))  # and here it is stopped, longer than its lease
    roll_out(other, fast, 2, target)
    settled = other.observe(target)
    handle = Handle(target, slow.digest, 1, 1)
    acts: tuple[Callable[[], object], ...] = (
        lambda: one.apply(plan, 1),
        lambda: one.shift(handle, 100, 1),
        lambda: one.retire(handle, 1),
    )
    for act in acts:
        with pytest.raises(StaleFenceError, match="fence 2 has acted on it since"):
            act()
    assert other.observe(target) == settled


def test_a_holder_overtaken_between_its_steps_changes_nothing(setting: Setting, target: Target) -> None:
    one, other = setting.deployer(), setting.deployer()
    handle = begin(one, candidate_of(setting.workload("slow")), 1, target)
    assert follow(one, handle).healthy
    roll_out(other, candidate_of(setting.workload("fast")), 2, target)
    settled = other.observe(target)
    with pytest.raises(StaleFenceError):
        one.shift(handle, 100, 1)
    with pytest.raises(StaleFenceError):
        one.retire(handle, 1)
    assert [look.failed for look in one.watch(handle, deadline=FAR)] == [True]
    assert other.observe(target) == settled


def test_what_changed_since_the_plan_has_to_be_planned_again(setting: Setting, target: Target) -> None:
    deployer, candidate = setting.deployer(), candidate_of(setting.workload("one"))
    plan = deployer.plan(target, candidate, deployer.observe(target))
    roll_out(deployer, candidate_of(setting.workload("two")), 1, target)
    with pytest.raises(TransientError, match="has changed since the rollout was planned"):
        deployer.apply(plan, 2)


def test_a_service_that_does_not_start_fails_and_the_old_side_serves_on(setting: Setting, target: Target) -> None:
    deployer, old = setting.deployer(), setting.workload("one")
    roll_out(deployer, candidate_of(old), 1, target)
    handle = begin(deployer, candidate_of(setting.crashing("two")), 2, target)
    progress = follow(deployer, handle)
    assert (progress.healthy, progress.failed) == (False, True)
    assert "web is down" in progress.message
    assert "crash loop" in progress.message
    after = deployer.retire(handle, 2)
    assert weights(after) == {old.artifact: 100}
    assert {one.health for one in after.instances} == {HealthState.HEALTHY}


def test_a_failed_rollout_changes_no_address(setting: Setting, target: Target) -> None:
    """It declared another port; the old one answers throughout, and a rollout that holds moves it."""
    deployer = setting.deployer()
    first, second = free_port(()), free_port(())
    before = roll_out(deployer, candidate_of(setting.workload("one", port=first)), 1, target)
    assert before.addresses == {"web": f"http://127.0.0.1:{first}"}
    handle = begin(deployer, candidate_of(setting.crashing("two", port=second)), 2, target)
    assert follow(deployer, handle).failed
    assert deployer.observe(target).addresses == before.addresses
    assert deployer.retire(handle, 2).addresses == before.addresses
    assert setting.answers(first)
    eventually(lambda: not setting.answers(second))

    after = roll_out(deployer, candidate_of(setting.workload("three", port=second)), 3, target)
    assert after.addresses == {"web": f"http://127.0.0.1:{second}"}
    eventually(lambda: setting.answers(second) and not setting.answers(first))


def eventually(seen: Callable[[], bool]) -> None:
    """A router takes its time to go."""
    for _ in range(300):
        if seen():
            return
        time.sleep(0.1)
    raise AssertionError


def test_a_failing_command_before_the_rollout_stops_it_with_its_output(setting: Setting, target: Target) -> None:
    deployer, old = setting.deployer(), setting.workload("one")
    settled = roll_out(deployer, candidate_of(old), 1, target)
    with pytest.raises(PermanentError, match=r"running before_rollout of web(?s:.*)no such table: carts"):
        begin(deployer, candidate_of(setting.refusing("two")), 2, target)
    assert deployer.observe(target) == dataclasses.replace(settled, fence=2)


def test_services_come_and_go_with_the_candidate(setting: Setting, target: Target) -> None:
    deployer = setting.deployer()
    web, api, worker = (setting.workload("one", name) for name in ("web", "api", "worker"))
    before = roll_out(deployer, candidate_of(web, api), 1, target)
    plan = deployer.plan(target, candidate_of(web, worker), before)
    assert (plan.start, plan.keep, plan.stop) == (("worker",), ("web",), ("api",))
    after = roll_out(deployer, candidate_of(web, worker), 2, target)
    assert set(after.weights) == set(after.addresses) == {"web", "worker"}
    assert {one.id for one in before.instances if one.service == "web"} < ids(after)
    again = roll_out(deployer, candidate_of(web, api, worker), 3, target)
    assert again.addresses == {**before.addresses, **after.addresses}


def test_the_same_artifact_configured_otherwise_starts_anew(setting: Setting, target: Target) -> None:
    deployer = setting.deployer()
    before = roll_out(deployer, candidate_of(setting.workload("one")), 1, target)
    changed = candidate_of(setting.workload("one", environment={"COLOUR": "blue"}))
    after = roll_out(deployer, changed, 2, target)
    assert weights(after) == weights(before)
    assert not ids(after) & ids(before)


def test_another_process_goes_on_with_a_handle(setting: Setting, target: Target) -> None:
    handle = begin(setting.deployer(), candidate_of(setting.workload("one")), 1, target)
    adapter = TypeAdapter(Handle)
    read = adapter.validate_python(json.loads(adapter.dump_json(handle)))
    assert read == handle
    other = setting.deployer()
    assert follow(other, read).healthy
    assert list(weights(other.shift(read, 100, 1)).values()) == [100]


def test_targets_do_not_meet(setting: Setting, target: Target) -> None:
    deployer, twin = setting.deployer(), dataclasses.replace(target, project="other")
    roll_out(deployer, candidate_of(setting.workload("one")), 5, target)
    assert deployer.observe(twin).generation == 0
    observed = roll_out(deployer, candidate_of(setting.workload("two")), 1, twin)
    assert observed.fence == 1
    assert deployer.observe(target).fence == 5


def ids(observed: Observed) -> set[str]:
    return {one.id for one in observed.instances}
