from collections.abc import Collection, Iterable

import pytest
from pydantic import JsonValue

from delivery.artifact import Digest, digest_of
from delivery.config import Configuration
from delivery.errors import ConfigurationError, NotFoundError
from delivery.impact import impacts
from delivery.plan import Action, PlannedStep
from delivery.source import Change, ChangeKind, ChangeSet
from delivery.step_choice import Situation, Wishes, check_wishes, choose_steps
from delivery.step_graph import input_patterns, step_graph
from delivery.step_key import Keys

SERVICE: dict[str, JsonValue] = {"build": {"command": "make"}, "run": {"command": "serve"}}
PARTS: dict[str, JsonValue] = {
    "api": {**SERVICE, "paths": ["api"], "depends_on": ["shared"]},
    "web": {**SERVICE, "paths": ["web"]},
}


def configure(steps: dict[str, JsonValue], services: dict[str, JsonValue] = PARTS) -> Configuration:
    libraries = {"shared": {"paths": ["shared"]}} if services else {}
    return Configuration.model_validate({"version": 1, "services": services, "libraries": libraries, "steps": steps})


STEPS = configure(
    {
        "lint": {"command": "lint"},
        "schema": {"command": "schema", "inputs": ["schema/*.json"], "outputs": ["generated"]},
        "unit": {"command": "test", "per": "service", "needs": ["lint", "schema"]},
        "web-only": {"command": "test", "services": ["web"], "needs": ["unit"]},
        "together": {"command": "test", "services": ["api", "web"], "needs": ["unit"]},
    }
)


def changed(*paths: str) -> ChangeSet:
    return ChangeSet("b" * 40, "merge base", "h" * 40, tuple(Change(path, ChangeKind.MODIFIED) for path in paths))


def plan(
    changes: ChangeSet,
    reusable: Collection[str] = (),
    force: Iterable[str] = (),
    only: Iterable[str] = (),
    configuration: Configuration = STEPS,
    *,
    sandbox: bool = False,
) -> dict[str, PlannedStep]:
    nodes = step_graph(configuration)
    keys = {node.id: digest_of(node.id.encode()) for node in nodes}
    wishes = Wishes(frozenset(force), frozenset(only), sandbox)
    succeeded: set[Digest] = {keys[one] for one in reusable}
    reached = impacts(configuration, changes, wishes.force)
    return {
        step.id: step
        for step in choose_steps(nodes, Situation(configuration, changes, reached, Keys(keys, {}), succeeded, wishes))
    }


def actions(steps: dict[str, PlannedStep]) -> dict[str, str]:
    return {name: step.action.value for name, step in steps.items()}


def test_steps_are_expanded_and_ordered_after_what_they_need() -> None:
    nodes = {node.id: node.needs for node in step_graph(STEPS)}

    assert nodes == {
        "lint": (),
        "schema": (),
        "unit@api": ("lint", "schema"),
        "unit@web": ("lint", "schema"),
        "web-only": ("unit@api", "unit@web"),
        "together": ("unit@api", "unit@web"),
    }
    seen: set[str] = set()
    for name, needs in nodes.items():
        assert seen.issuperset(needs)
        seen.add(name)


def test_a_step_per_service_needs_its_like_for_the_same_service_only() -> None:
    configuration = configure(
        {
            "test": {"command": "t", "per": "service", "needs": ["prepare"]},
            "prepare": {"command": "p", "per": "service", "services": ["api"]},
        }
    )

    assert {node.id: node.needs for node in step_graph(configuration)} == {
        "prepare@api": (),
        "test@api": ("prepare@api",),
        "test@web": (),
    }


def test_steps_that_need_each_other_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="they need each other in a circle: "):
        step_graph(configure({"a": {"command": "a", "needs": ["b"]}, "b": {"command": "b", "needs": ["a"]}}))


def test_a_step_reads_what_it_declares_or_what_it_is_about() -> None:
    read = {node.id: input_patterns(STEPS, node) for node in step_graph(STEPS)}

    assert read == {
        "lint": (),
        "schema": ("schema/*.json",),
        "unit@api": ("api", "shared"),
        "unit@web": ("web",),
        "web-only": ("web",),
        "together": ("api", "shared", "web"),
    }


def test_what_a_change_does_not_reach_is_skipped_and_says_so() -> None:
    steps = plan(changed("web/page.html"), reusable=["schema"])

    assert actions(steps) == {
        "lint": "run",
        "schema": "reuse",
        "unit@api": "skip",
        "unit@web": "run",
        "web-only": "run",
        "together": "run",
    }
    assert steps["lint"].because == ("changed: web/page.html",)
    assert steps["unit@web"].because == ("changed: web/page.html",)
    assert steps["unit@api"].because == ("nothing that service 'api' depends on changed since bbbbbbb",)
    assert steps["together"].because == ("service 'web': changed: web/page.html",)


def test_a_change_of_the_shared_library_says_the_way() -> None:
    steps = plan(changed("shared/x.py"))

    assert steps["unit@api"].because == ("library 'shared' changed: shared/x.py",)
    assert steps["web-only"].because == ("none of its services was reached since bbbbbbb: web",)


def test_declared_inputs_decide_about_a_step_that_is_about_no_service() -> None:
    assert plan(changed("schema/a.json"))["schema"].because == ("inputs changed: schema/a.json",)
    assert plan(changed("docs/a.md"))["schema"].because == ("none of its inputs changed since bbbbbbb",)


def test_declared_inputs_reach_a_step_beside_its_service() -> None:
    configuration = configure({"unit": {"command": "t", "per": "service", "inputs": ["tests", "api"]}})

    assert actions(plan(changed("tests/x.py"), configuration=configuration)) == {"unit@api": "run", "unit@web": "run"}


def test_a_skipped_step_is_not_skipped_when_a_running_one_reads_its_outputs() -> None:
    steps = plan(changed("web/page.html"))

    assert (steps["schema"].action, steps["schema"].because) == (Action.RUN, ("'unit@web' reads its outputs",))


def test_outputs_are_not_made_for_steps_that_do_not_run() -> None:
    steps = plan(changed("web/page.html"), reusable=["unit@web"])

    assert steps["schema"].action is Action.SKIP


def test_a_recorded_success_is_reused_and_says_so() -> None:
    step = plan(changed("web/page.html"), reusable=["unit@web"])["unit@web"]

    assert step.action is Action.REUSE
    assert step.because == (
        "an earlier success had the same inputs, command, tools and environment",
        "changed: web/page.html",
    )


def test_a_step_may_decline_reuse() -> None:
    configuration = configure({"flaky": {"command": "t", "reuse": False}})

    assert actions(plan(changed("x"), reusable=["flaky"], configuration=configuration)) == {"flaky": "run"}


def test_in_a_sandbox_what_is_asked_for_runs_and_the_outputs_that_it_reads_are_reused() -> None:
    everything = [node.id for node in step_graph(STEPS)]
    steps = plan(changed(), everything, only=["unit@web"], sandbox=True)

    assert {name: action for name, action in actions(steps).items() if action != "skip"} == {
        "schema": "reuse",
        "unit@web": "run",
    }
    assert steps["unit@web"].because == ("asked for with --sandbox",)
    assert set(actions(plan(changed(), everything, sandbox=True)).values()) == {"run"}


def test_without_a_base_everything_runs_because_of_that() -> None:
    steps = plan(ChangeSet(None, "no revision was tested", "h" * 40, ()))

    assert {step.because for step in steps.values()} == {("no revision was tested",)}
    assert set(actions(steps).values()) == {"run"}


def test_a_changed_pipeline_reaches_every_step() -> None:
    steps = plan(changed("shipline.yaml"))

    assert {step.because for step in steps.values()} == {("the pipeline changed: shipline.yaml",)}


def test_force_ignores_impact_and_reuse_for_what_it_names() -> None:
    everything = [node.id for node in step_graph(STEPS)]

    assert set(actions(plan(changed(), everything, force=["all"])).values()) == {"run"}
    assert actions(plan(changed(), everything, force=["api"])) == {
        "lint": "skip",
        "schema": "reuse",
        "unit@api": "run",
        "unit@web": "skip",
        "web-only": "skip",
        "together": "run",
    }


@pytest.mark.parametrize(
    ("only", "running"),
    [
        (["lint"], {"lint"}),
        (["unit"], {"unit@api", "unit@web", "schema"}),
        (["web"], {"unit@web", "web-only", "together", "schema"}),
        (["unit@web", "lint"], {"unit@web", "lint", "schema"}),
    ],
)
def test_only_limits_to_what_is_asked_for_and_the_outputs_it_reads(only: list[str], running: set[str]) -> None:
    steps = plan(ChangeSet(None, "no revision was tested", "h" * 40, ()), only=only)

    assert {name for name, step in steps.items() if step.action is Action.RUN} == running
    skipped = {step.because for step in steps.values() if step.action is Action.SKIP}
    assert skipped == {(f"not asked for: --only {' '.join(sorted(only))}",)}


def test_a_library_alone_is_tested_as_a_whole() -> None:
    configuration = configure({"test": {"command": "t"}, "each": {"command": "t", "per": "service"}}, services={})

    assert actions(plan(changed("src/x.py"), configuration=configuration)) == {"test": "run"}
    assert plan(changed(), configuration=configuration)["test"].because == ("none of its inputs changed since bbbbbbb",)


@pytest.mark.parametrize(
    ("wishes", "message", "meant"),
    [
        (Wishes(force=frozenset({"apy"})), "reading --force apy: there is no such service", "api"),
        (Wishes(only=frozenset({"unti"})), "reading --only unti: there is no such step or service", "unit"),
        (Wishes(only=frozenset({"no@one"})), "reading --only no@one: there is no such step or service", ""),
    ],
)
def test_a_wish_for_what_does_not_exist_is_refused(wishes: Wishes, message: str, meant: str) -> None:
    with pytest.raises(NotFoundError) as refusal:
        check_wishes(STEPS, wishes)

    assert refusal.value.message == message
    assert refusal.value.hint.startswith(f"did you mean '{meant}'? known are: " if meant else "known are: ")
    assert "api" in refusal.value.hint


def test_every_wish_that_means_something_passes() -> None:
    check_wishes(STEPS, Wishes(frozenset({"all", "api", "shared"}), frozenset({"unit", "api", "unit@web"})))
