"""What an environment runs, and what changes about it."""

import pytest

from delivery.artifact import digest_of
from delivery.canonical import canonical_digest
from delivery.config import EnvironmentService, Run
from delivery.config_reading import read_configuration
from delivery.configuration import (
    configuration_changes,
    definition_document,
    definition_from,
    effective_run,
    effective_runs,
    environment_configuration,
    environment_services,
    workloads,
)
from delivery.release import Release, ReleasedService

CONFIGURATION = read_configuration(b"""
version: 1
services:
  web:
    paths: [web]
    build: {command: make}
    run:
      command: ./web
      environment: {LOG_LEVEL: info, REGION: eu}
      secrets: {TOKEN: 'secret:TOKEN'}
  api: {paths: [api], build: {command: make}, run: {command: [./api, '{port}'], port: 9000}}
environments:
  dev:
    services:
      web: {port: 8101, environment: {LOG_LEVEL: debug}}
      api: {}
  production:
    after: dev
    watch_seconds: 30
    services:
      web: {port: 8102, instances: 3, environment: {TOKEN: open}, secrets: {REGION: 'secret:REGION'}}
      api: {port: 9001}
""")


def test_the_configuration_document_holds_what_is_set_and_nothing_else() -> None:
    assert environment_configuration(CONFIGURATION, "dev") == {
        "services": {"web": {"port": 8101, "environment": {"LOG_LEVEL": "debug"}}}
    }


def test_an_environment_that_does_not_exist_is_an_error_of_the_caller() -> None:
    with pytest.raises(KeyError):
        environment_configuration(CONFIGURATION, "nowhere")


def test_policy_is_no_part_of_the_configuration_digest() -> None:
    production = CONFIGURATION.environments["production"].model_copy(update={"watch_seconds": 1})
    other = CONFIGURATION.model_copy(update={"environments": {"production": production}})
    assert canonical_digest(environment_configuration(CONFIGURATION, "production")) == canonical_digest(
        environment_configuration(other, "production")
    )


def test_a_stored_configuration_comes_back_as_it_was() -> None:
    stored = environment_configuration(CONFIGURATION, "production")
    assert environment_services(stored) == dict(CONFIGURATION.environments["production"].services)
    assert environment_services({}) == {}


def test_a_definition_comes_back_as_it_was_and_names_every_field() -> None:
    run = CONFIGURATION.services["web"].run
    document = definition_document(run)
    assert definition_from(document) == run
    assert isinstance(document, dict)
    assert set(document) == set(Run.model_fields)


def test_the_environment_wins_over_the_definition() -> None:
    runs = effective_runs(CONFIGURATION, "dev")
    assert runs["web"].port == 8101
    assert runs["web"].environment == {"LOG_LEVEL": "debug", "REGION": "eu"}
    assert runs["web"].secrets == {"TOKEN": "secret:TOKEN"}
    assert runs["api"] == CONFIGURATION.services["api"].run


def test_a_variable_is_never_both_text_and_secret() -> None:
    run = effective_runs(CONFIGURATION, "production")["web"]
    assert run.environment == {"LOG_LEVEL": "info", "TOKEN": "open"}
    assert run.secrets == {"REGION": "secret:REGION"}
    assert run.instances == 3


def test_nothing_added_changes_nothing() -> None:
    run = CONFIGURATION.services["web"].run
    assert effective_run(run, None) is run
    assert effective_run(run, EnvironmentService()) == run


def test_workloads_take_the_definition_from_the_release_and_the_rest_from_the_environment() -> None:
    old = CONFIGURATION.services["web"].run.model_copy(update={"command": "./web --old"})
    definition = canonical_digest(definition_document(old))
    artifact = digest_of(b"web")
    release = Release("shop", {"web": ReleasedService(artifact, definition)}, "0" * 40)
    added = environment_services(environment_configuration(CONFIGURATION, "dev"))
    (workload,) = workloads(release, {definition: old}, added)
    assert (workload.service, workload.artifact, workload.definition) == ("web", artifact, definition)
    assert (workload.run.command, workload.run.port) == ("./web --old", 8101)


def test_changes_are_told_in_lines_with_secrets_by_reference() -> None:
    old = {**effective_runs(CONFIGURATION, "dev"), "worker": CONFIGURATION.services["api"].run}
    new = {**effective_runs(CONFIGURATION, "production"), "cache": CONFIGURATION.services["api"].run}
    assert configuration_changes(old, new) == [
        "api: port 9000 -> 9001",
        "cache: added",
        "web: LOG_LEVEL debug -> info",
        "web: REGION eu -> secret:REGION",
        "web: TOKEN secret:TOKEN -> open",
        "web: instances 1 -> 3",
        "web: port 8101 -> 8102",
        "worker: removed",
    ]


def test_what_appears_and_what_goes_is_told() -> None:
    run = Run(command="./web")
    more = Run(command=["./web", "-v"], environment={"EMPTY": ""}, before_rollout={"command": "migrate"})
    assert configuration_changes({"web": run}, {"web": more}) == [
        "web: EMPTY (none) -> (empty)",
        "web: before_rollout.command (none) -> migrate",
        "web: before_rollout.timeout_seconds (none) -> 600.0",
        "web: command ./web -> ./web -v",
    ]
    assert configuration_changes({"web": run}, {"web": run}) == []
