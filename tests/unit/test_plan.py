import json
import string
from collections.abc import Collection, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from delivery.artifact import Artifact, Digest, digest_of
from delivery.config import Configuration, Environment
from delivery.errors import NotFoundError
from delivery.plan import Action, Plan, PlannedDeploy, PlannedService, PlannedStep, plan_document
from delivery.planning import PlanRequest, Surroundings, make_plan
from delivery.source import Change, ChangeKind, ChangeSet, Revision
from delivery.step_choice import Wishes
from tests.fakes.source_repository import InMemorySource
from tests.fakes.store import InMemoryStepCache, InMemoryStore

CONFIGURATION = Configuration.model_validate(
    {
        "version": 1,
        "services": {
            name: {
                "paths": [name],
                "depends_on": ["shared"] if name == "api" else [],
                "build": {"command": "make", "tools": ["make"]},
                "run": {"command": "serve"},
            }
            for name in ("api", "web")
        },
        "libraries": {"shared": {"paths": ["shared"]}},
        "steps": {"unit": {"command": "test", "per": "service", "tools": ["python3"]}},
        "environments": {
            "dev": {},
            "staging": {"tier": "staging", "after": "dev", "approvals": {"count": 1}},
            "production": {
                "tier": "production",
                "after": "staging",
                "automatic": False,
                "approvals": {"count": 2},
            },
        },
        "fail_fast": True,
    }
)


class RecordedBuilds:
    def __init__(self) -> None:
        self.artifacts: dict[Digest, Artifact] = {}

    def by_key(self, build_key: Digest) -> Artifact | None:
        return self.artifacts.get(build_key)

    def by_keys(self, build_keys: Collection[Digest]) -> dict[Digest, Artifact]:
        return {key: self.artifacts[key] for key in build_keys if key in self.artifacts}


class World:
    """main has one tested commit; topic changes the api."""

    def __init__(self) -> None:
        self.source = InMemorySource()
        self.store, self.builds = InMemoryStore(), RecordedBuilds()
        self.cache = InMemoryStepCache(self.store)
        self.tested = self.source.commit({"api/a": "1", "web/w": "1", "shared/s": "1"}, tags=["v1.0.0"])
        self.topic = self.source.commit({"api/a": "2"}, branch="topic", parents=[self.tested])

    def request(self, commit: str) -> PlanRequest:
        return PlanRequest("shop", Revision(commit), CONFIGURATION, tested=(self.tested,))

    def plan(self, request: PlanRequest | str) -> Plan:
        versions = {"make": "GNU Make 4.3", "python3": "Python 3.11.2"}
        surroundings = Surroundings(self.source, self.cache, self.builds, versions.__getitem__, "linux/x86_64")
        return make_plan(self.request(request) if isinstance(request, str) else request, surroundings)

    def remember(self, plan: Plan) -> None:
        """Record every step and build of a plan as done."""
        for step in plan.steps:
            self.cache.record(step.key, {}, [])
        for service in plan.services:
            assert service.build_key
            digest = digest_of(service.name.encode())
            self.builds.artifacts[service.build_key] = Artifact(
                service.name, digest, service.build_key, plan.revision.commit, "application/x", "linux/x86_64", 1
            )


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.store.close()


def test_a_plan_says_what_happens_and_why(world: World) -> None:
    world.remember(world.plan(world.tested))

    document = plan_document(world.plan(world.topic))

    keys = [step.key for step in world.plan(world.topic).steps]
    builds = [service.build_key for service in world.plan(world.topic).services]
    web = digest_of(b"web")
    assert document == {
        "project": "shop",
        "revision": world.topic,
        "based_on": None,
        "dirty": False,
        "version": f"1.0.1-dev.1+g{world.topic[:7]}",
        "base": world.tested,
        "base_because": "merge base with main",
        "changed": [
            {"path": "api/a", "change": "modified", "old_path": None, "mode_changed": False, "submodule": False}
        ],
        "services": [
            {"name": "api", "impacted": True, "because": ["changed: api/a"], "build_key": builds[0], "artifact": None},
            {
                "name": "web",
                "impacted": False,
                "because": [f"nothing that it depends on changed since {world.tested[:7]}"],
                "build_key": builds[1],
                "artifact": web,
            },
        ],
        "libraries": [
            {
                "name": "shared",
                "impacted": False,
                "because": [f"nothing that it depends on changed since {world.tested[:7]}"],
                "build_key": None,
                "artifact": None,
            }
        ],
        "steps": [
            {
                "id": "unit@api",
                "name": "unit",
                "service": "api",
                "action": "run",
                "because": ["changed: api/a"],
                "needs": [],
                "key": keys[0],
            },
            {
                "id": "unit@web",
                "name": "unit",
                "service": "web",
                "action": "skip",
                "because": [f"nothing that service 'web' depends on changed since {world.tested[:7]}"],
                "needs": [],
                "key": keys[1],
            },
        ],
        "deploys": [
            {"environment": "dev", "waits_for": []},
            {"environment": "staging", "waits_for": ["verified in dev", "1 approval"]},
            {
                "environment": "production",
                "waits_for": ["verified in staging", "a person to promote it", "2 approvals"],
            },
        ],
        "fail_fast": True,
        "sandbox": False,
        "shares": False,
    }
    assert json.loads(json.dumps(document)) == document


def test_the_same_revision_again_is_reused_as_a_whole(world: World) -> None:
    first = world.plan(world.tested)
    world.remember(first)

    again = world.plan(world.tested)

    assert [step.action for step in first.steps] == [Action.RUN, Action.RUN]
    assert [step.action for step in again.steps] == [Action.REUSE, Action.REUSE]
    assert [service.artifact for service in again.services] == [digest_of(b"api"), digest_of(b"web")]


def test_the_same_content_on_another_branch_is_reused(world: World) -> None:
    world.remember(world.plan(world.topic))
    twin = world.source.commit({"api/a": "2", "README": "x"}, branch="twin", parents=[world.tested])

    plan = world.plan(twin)

    assert plan.steps[0].action is Action.REUSE
    assert plan.services[0].artifact == digest_of(b"api")


def test_force_runs_and_builds_again_what_it_names(world: World) -> None:
    world.remember(world.plan(world.tested))

    plan = world.plan(replace(world.request(world.tested), wishes=Wishes(force=frozenset({"web"}))))

    assert {step.id: step.action for step in plan.steps} == {"unit@api": Action.REUSE, "unit@web": Action.RUN}
    assert [service.artifact for service in plan.services] == [digest_of(b"api"), None]


def test_an_unreached_service_without_an_artifact_says_that_it_is_built(world: World) -> None:
    assert world.plan(world.topic).services[1].because[-1] == "it was never built from these inputs"


def test_a_wish_for_what_does_not_exist_is_refused(world: World) -> None:
    with pytest.raises(NotFoundError):
        world.plan(replace(world.request(world.topic), wishes=Wishes(force=frozenset({"nothing"}))))


def test_a_dirty_revision_goes_to_development_only(world: World) -> None:
    plan = world.plan(replace(world.request(world.topic), revision=Revision(world.topic, based_on=world.tested)))

    assert plan.deploys == (PlannedDeploy("dev", ()),)
    assert plan.version == f"1.0.1-dev.0+g{world.tested[:7]}.dirty"
    assert plan_document(plan)["dirty"] is True


def test_the_policy_in_force_comes_before_the_proposal(world: World) -> None:
    plan = world.plan(replace(world.request(world.topic), environments={"live": Environment(tier="production")}))

    assert plan.deploys == (PlannedDeploy("live", ()),)


def test_without_services_nothing_is_deployed(world: World) -> None:
    library = Configuration.model_validate(
        {"version": 1, "environments": {"dev": {}}, "steps": {"t": {"command": "t"}}}
    )

    plan = world.plan(replace(world.request(world.topic), configuration=library))

    assert (plan.services, plan.deploys) == ((), ())
    assert [step.id for step in plan.steps] == ["t"]


@pytest.mark.parametrize(("registered", "said", "taken"), [("topic", None, "topic"), ("topic", "main", "main")])
def test_a_default_branch_that_the_configuration_says_comes_first(
    world: World, registered: str, said: str | None, taken: str
) -> None:
    about: dict[str, JsonValue] = {"version": 1, **({"default_branch": said} if said else {})}
    side = world.source.commit({"x": "1"}, branch="side", parents=[world.topic])

    plan = world.plan(
        replace(world.request(side), configuration=Configuration.model_validate(about), default_branch=registered)
    )

    assert plan.changes.base_because == f"merge base with {taken}"


TEXT = st.text(string.printable + "süß日", max_size=12)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
COMMIT = st.text("0123456789abcdef", min_size=40, max_size=40)
DIGEST = st.binary(max_size=4).map(digest_of)
PLANS = st.builds(
    Plan,
    project=TEXT,
    revision=st.builds(Revision, COMMIT, st.none() | COMMIT),
    version=TEXT,
    changes=st.builds(
        ChangeSet,
        base=st.none() | COMMIT,
        base_because=TEXT,
        head=COMMIT,
        changes=st.lists(
            st.builds(Change, TEXT, st.sampled_from(ChangeKind), st.none() | TEXT, st.booleans(), st.booleans()),
            max_size=3,
        ).map(tuple),
    ),
    services=st.lists(
        st.builds(PlannedService, TEXT, st.booleans(), TEXTS, st.none() | DIGEST, st.none() | DIGEST), max_size=3
    ).map(tuple),
    steps=st.lists(
        st.builds(PlannedStep, TEXT, st.none() | TEXT, st.sampled_from(Action), TEXTS, TEXTS, DIGEST), max_size=3
    ).map(tuple),
    deploys=st.lists(st.builds(PlannedDeploy, TEXT, TEXTS), max_size=3).map(tuple),
    fail_fast=st.booleans(),
    sandbox=st.booleans(),
    shares=st.booleans(),
)


@given(PLANS)
def test_a_stored_plan_is_the_same_plan(plan: Plan) -> None:
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_what_is_no_plan_is_not_read_as_one() -> None:
    with pytest.raises(ValidationError):
        Plan.from_json({"project": "shop"})
