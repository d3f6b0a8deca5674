from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from delivery.artifact import Digest, digest_of
from delivery.config import Configuration
from delivery.step_graph import step_graph
from delivery.step_key import Facts, Keys, build_patterns, keys_of, needed_patterns, needed_tools, this_platform

STEP: dict[str, JsonValue] = {
    "command": ["pytest", "-q"],
    "needs": ["prepare", "lint"],
    "services": ["api"],
    "inputs": ["tests"],
    "outputs": ["out"],
    "environment": {"MODE": "test"},
    "secrets": {"TOKEN": "secret:token"},
    "tools": ["python3"],
    "fixtures": ["database"],
    "reports": {"junit": ["junit.xml"]},
}
PREPARE: dict[str, JsonValue] = {"command": "prepare", "outputs": ["generated"]}
LINT: dict[str, JsonValue] = {"command": "lint"}
BUILD: dict[str, JsonValue] = {"command": "make", "inputs": ["src"], "tools": ["go"], "environment": {"A": "1"}}
FIXTURE: dict[str, JsonValue] = {"postgresql": {"database": "test"}}


def configure(
    test: Mapping[str, JsonValue] | None = None,
    prepare: Mapping[str, JsonValue] | None = None,
    lint: Mapping[str, JsonValue] | None = None,
    build: Mapping[str, JsonValue] | None = None,
    fixture: Mapping[str, JsonValue] | None = None,
) -> Configuration:
    return Configuration.model_validate(
        {
            "version": 1,
            "services": {
                "api": {
                    "paths": ["api"],
                    "depends_on": ["shared"],
                    "build": {**BUILD, **(build or {})},
                    "run": {"command": "serve"},
                }
            },
            "libraries": {"shared": {"paths": ["shared"]}},
            "fixtures": {"database": fixture or FIXTURE},
            "steps": {
                "test": {**STEP, **(test or {})},
                "prepare": {**PREPARE, **(prepare or {})},
                "lint": {**LINT, **(lint or {})},
            },
        }
    )


def keys(
    configuration: Configuration,
    *,
    project: str = "shop",
    tree: str = "1",
    tools: str = "1",
    platform: str = "linux/x86_64",
) -> Keys:
    nodes = step_graph(configuration)
    trees = {one: digest_of(f"{one}{tree}".encode()) for one in needed_patterns(configuration, nodes)}
    versions = dict.fromkeys(needed_tools(configuration), tools)
    return keys_of(configuration, nodes, Facts(project, trees, versions, platform))


BEFORE = keys(configure())


@pytest.mark.parametrize(
    "change",
    [
        {"command": "pytest -q"},
        {"environment": {"MODE": "other"}},
        {"environment": {}},
        {"secrets": {"TOKEN": "secret:other"}},
        {"outputs": ["other"]},
        {"reports": {"junit": []}},
        {"fixtures": []},
        {"tools": []},
        {"inputs": ["other"]},
        {"needs": ["lint"]},
        {"per": "service"},
    ],
)
def test_what_decides_about_a_step_is_in_its_key(change: dict[str, JsonValue]) -> None:
    after = keys(configure(test=change)).steps

    assert after["prepare"] == BEFORE.steps["prepare"]
    assert (after.get("test") or after["test@api"]) != BEFORE.steps["test"]


@pytest.mark.parametrize("change", [{"timeout_seconds": 5}, {"retry": {"attempts": 2}}, {"reuse": False}])
def test_how_a_step_is_run_is_not_in_its_key(change: dict[str, JsonValue]) -> None:
    assert keys(configure(test=change)) == BEFORE


def test_a_step_changes_with_the_steps_whose_outputs_it_reads_and_with_no_other() -> None:
    assert keys(configure(prepare={"command": "other"})).steps["test"] != BEFORE.steps["test"]
    assert keys(configure(lint={"command": "other"})).steps["test"] == BEFORE.steps["test"]


def test_a_step_changes_with_its_fixture() -> None:
    assert keys(configure(fixture={"postgresql": {"database": "other"}})).steps["test"] != BEFORE.steps["test"]


def test_content_and_platform_are_in_every_key_and_tools_in_those_that_name_them() -> None:
    for after in (keys(configure(), tree="2"), keys(configure(), platform="linux/aarch64")):
        assert not set(after.steps.values()) & set(BEFORE.steps.values())
        assert not set(after.builds.values()) & set(BEFORE.builds.values())
    after = keys(configure(), tools="2")
    assert after.steps["lint"] == BEFORE.steps["lint"]
    assert after.steps["test"] != BEFORE.steps["test"]
    assert after.builds["api"] != BEFORE.builds["api"]


def test_what_one_project_has_tested_is_nothing_to_another() -> None:
    assert not set(keys(configure(), project="market").steps.values()) & set(BEFORE.steps.values())


@pytest.mark.parametrize(
    "change", [{"command": "other"}, {"output": "out"}, {"inputs": []}, {"environment": {}}, {"tools": []}]
)
def test_what_decides_about_a_build_is_in_its_key(change: dict[str, JsonValue]) -> None:
    after = keys(configure(build=change))

    assert after.builds["api"] != BEFORE.builds["api"]
    assert after.steps == BEFORE.steps  # whose own inputs are declared


def test_a_build_reads_its_inputs_and_all_that_its_service_depends_on() -> None:
    assert build_patterns(configure(), "api") == ("src", "shared")
    assert build_patterns(configure(build={"inputs": []}), "api") == ("api", "shared")


def test_keys_stay_the_same_from_release_to_release() -> None:
    """A key that changes without need throws away every result that was ever recorded."""
    assert BEFORE.steps["lint"] == Digest("sha256:e9e2e64f51d64f6d63739d767634494ff3509b5a995f01ee3ec1e83f5cadc333")


def test_the_platform_is_system_and_machine() -> None:
    system, machine = this_platform().split("/")

    assert system in {"linux", "darwin"}
    assert machine
