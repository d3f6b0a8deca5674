"""Who may write to the shared tier, and what of it counts: decided by the plan, not by where a run happens to be."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from delivery.builds import LedgerBuilds
from delivery.caching.explaining import explain
from delivery.caching.tiers import Asking, SharedTier, TieredStepCache, TieredStore
from delivery.connections import Connections
from delivery.errors import ConfigurationError
from delivery.plan import Action, Plan
from delivery.planning import PlanRequest, Surroundings, make_plan
from delivery.promoting.candidates import configuration_at
from delivery.running.reusing import answer, asks_for_nothing_new
from delivery.shared_cache import SharedCacheSettings
from delivery.source import Revision
from tests.fakes.runner import Act
from tests.fakes.store import InMemoryStepCache, InMemoryStore
from tests.unit.test_running_a_revision import Workshop


@dataclass
class Shop:
    """An installation in memory with a shared tier, in memory too, behind it."""

    workshop: Workshop
    far: InMemoryStore
    far_steps: InMemoryStepCache

    def connections(self) -> Connections:
        """Which has to be set again after every restart."""
        plain, asking = self.workshop.installation.connect(), Asking("s3://cache")
        near = self.workshop.installation
        store = TieredStore(near.store, self.far, asking)
        cache = TieredStepCache(near.step_cache, self.far_steps, store, asking)
        shared = SharedTier((near.store, near.step_cache), (self.far, self.far_steps), asking)
        steps = replace(plain.steps, store=store, cache=cache)
        return replace(plain, store=store, step_cache=cache, steps=steps, shared=shared)

    def deliver(self, commit: str, *, shares: bool) -> dict[str, str]:
        """A run's steps and how they ended."""
        self.workshop.restart()
        self.workshop.connections = connections = self.connections()
        made = self.plan(connections, commit, shares=shares)
        run = self.workshop.run(commit, steps=made.steps, shares=made.shares)
        work = self.workshop.take(run)
        self.workshop.test(work)
        return {name: one.state.value for name, one in work.results.items()}

    def plan(self, connections: Connections, commit: str, *, shares: bool) -> Plan:
        request = PlanRequest("shop", Revision(commit), configuration_at(connections, "shop", commit), shares=shares)
        builds = LedgerBuilds(connections.ledger, "shop")
        source = self.workshop.installation.source
        return make_plan(request, Surroundings(source, connections.step_cache, builds, lambda _tool: "1"))

    @property
    def shared(self) -> int:
        return len(self.far_steps.records)


@pytest.fixture
def far() -> Iterator[InMemoryStore]:
    made = InMemoryStore()
    yield made
    made.close()


def shop(folder: Path, far: InMemoryStore, far_steps: InMemoryStepCache) -> Shop:
    return Shop(Workshop(folder), far, far_steps)


@pytest.fixture
def one(tmp_path: Path, far: InMemoryStore) -> Iterator[Shop]:
    made = shop(tmp_path, far, InMemoryStepCache(far))
    yield made
    made.workshop.close()


RAN = {"lint": "Completed", "unit@api": "Completed", "unit@web": "Completed", "whole": "Completed"}
REUSED = {**dict.fromkeys(RAN, "Cached"), "whole": "Completed"}
"""`whole` says `reuse: false`."""


def test_a_run_that_may_shares_what_it_made_and_another_installation_reuses_it(
    one: Shop, tmp_path: Path, far: InMemoryStore
) -> None:
    assert one.deliver(one.workshop.commit(), shares=True) == RAN
    assert one.shared == 3, "a step that says `reuse: false` is not kept"
    other = shop(tmp_path / "other", far, one.far_steps)
    assert other.deliver(other.workshop.commit(), shares=False) == REUSED
    other.workshop.close()


def test_a_run_that_may_not_leaves_the_shared_tier_alone(one: Shop) -> None:
    assert one.deliver(one.workshop.commit(), shares=False) == RAN
    assert (one.shared, one.far.contents) == (0, {})


def test_what_a_pull_request_made_is_neither_shared_nor_reused_by_the_default_branch(one: Shop) -> None:
    """It ran the same command on the same inputs, but whatever else it had, the default branch does not have."""
    commit = one.workshop.commit()
    one.deliver(commit, shares=False)
    connections = one.connections()
    plan = one.plan(connections, commit, shares=True)
    [why] = explain(connections, plan, configuration_at(connections, "shop", commit), "lint")
    assert (why.reusable, why.because) == (
        False,
        "nothing differs from run run-1, but that was not of the default branch, whose results are shared",
    )
    assert one.deliver(commit, shares=True) == RAN
    assert one.shared == 3
    assert one.deliver(commit, shares=True) == REUSED
    assert one.deliver(commit, shares=False) == REUSED


def test_a_result_that_somebody_replaced_after_the_plan_is_not_reused_by_the_default_branch(one: Shop) -> None:
    commit = one.workshop.commit()
    one.deliver(commit, shares=True)
    one.workshop.connections = connections = one.connections()
    plan = one.plan(connections, commit, shares=True)
    run = one.workshop.run(commit, steps=plan.steps, shares=True)
    lint = next(step for step in plan.steps if step.name == "lint")
    assert lint.action is Action.REUSE
    near = one.workshop.installation.step_cache
    record, blobs = near.records[lint.key]
    near.records[lint.key] = ({**record, "origin": {**record["origin"], "shared": False}}, blobs)  # type: ignore[dict-item]  # a mapping
    work = one.workshop.take(run)
    one.workshop.test(work)
    assert work.results["lint"].state.value == "Completed"


def test_a_run_answered_at_once_takes_only_what_may_be_shared(one: Shop) -> None:
    narrow = "version: 1\nsteps: {lint: {command: [lint]}}\n"
    commit = one.workshop.commit(configuration=narrow)
    one.deliver(commit, shares=True)
    one.workshop.connections = connections = one.connections()
    plan = one.plan(connections, commit, shares=True)
    assert asks_for_nothing_new(plan)
    near = one.workshop.installation.step_cache
    for key, (record, blobs) in near.records.items():
        near.records[key] = ({**record, "origin": {}}, blobs)
    run = one.workshop.run(commit, steps=plan.steps, shares=True)
    assert not answer(connections, run), "it waits for a flow run, which executes the step"


def test_what_was_not_shared_for_trouble_is_shared_when_it_is_reused(one: Shop) -> None:
    commit = one.workshop.commit()
    one.deliver(commit, shares=True)
    one.far_steps.records.clear()
    assert one.deliver(commit, shares=True) == REUSED
    assert one.shared == 3


def test_what_somebody_has_put_in_place_of_a_result_before_it_is_shared_is_not(one: Shop) -> None:
    commit = one.workshop.commit()
    one.deliver(commit, shares=True)
    one.far_steps.records.clear()
    near, shared = one.workshop.installation.step_cache, one.connections().shared
    [key, *_] = near.records
    record, blobs = near.records[key]
    near.records[key] = ({**record, "origin": {**record["origin"], "shared": False}}, blobs)  # type: ignore[dict-item]  # a mapping
    assert shared is not None
    assert (shared.share(key), one.shared) == (False, 0)


def test_a_failed_step_is_not_shared(one: Shop) -> None:
    one.workshop.play("lint", Act(code=1))
    one.deliver(one.workshop.commit(), shares=True)
    assert one.shared == 0


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"SHIPLINE_CACHE_URL": "s3://cache"}, SharedCacheSettings("cache")),
        (
            {"SHIPLINE_CACHE_URL": "s3://cache/team/shop/", "SHIPLINE_CACHE_ENDPOINT_URL": "http://127.0.0.1:8333"},
            SharedCacheSettings("cache", "team/shop", "http://127.0.0.1:8333"),
        ),
        (
            {"SHIPLINE_CACHE_URL": "s3://cache", "SHIPLINE_CACHE_ENDPOINT_URL": "https://[::1]:8333/"},
            SharedCacheSettings("cache", "", "https://[::1]:8333/"),
        ),
    ],
)
def test_the_environment_says_where_it_is(environment: dict[str, str], expected: SharedCacheSettings | None) -> None:
    assert SharedCacheSettings.from_environment(environment) == expected


@pytest.mark.parametrize(
    "environment",
    [
        {"SHIPLINE_CACHE_URL": "cache"},
        {"SHIPLINE_CACHE_URL": "https://cache"},
        {"SHIPLINE_CACHE_URL": "s3://"},
        {"SHIPLINE_CACHE_URL": "s3://Bad_Name"},
        {"SHIPLINE_CACHE_URL": "s3://cache/a b"},
        {"SHIPLINE_CACHE_URL": "s3://cache", "SHIPLINE_CACHE_ENDPOINT_URL": "http://key:secret@host"},
        {"SHIPLINE_CACHE_URL": "s3://cache", "SHIPLINE_CACHE_ENDPOINT_URL": "http://host:80:80"},
        {"SHIPLINE_CACHE_URL": "s3://cache", "SHIPLINE_CACHE_ENDPOINT_URL": "host:80"},
    ],
)
def test_what_is_no_such_address_is_refused_by_name(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="reading SHIPLINE_CACHE_") as refused:
        SharedCacheSettings.from_environment(environment)
    assert "secret" not in refused.value.message
