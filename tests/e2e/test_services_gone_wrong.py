"""Services that do not start, never get well, crash soon or find their port taken: what served goes on serving."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from delivery.home import Home
from tests.e2e.conftest import Make
from tests.e2e.project import Project, configuration, environment, promoted
from tests.e2e.secrets import places_with

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]
PASSWORD = "tr0ub4dor-and-3-of-services"


@pytest.fixture
def project(make: Make) -> Project:
    """One environment in which a good release runs, with a secret that nobody may see."""
    content = configuration(environments={"production": environment(watch_seconds=3)})
    content["services"]["web"]["run"]["secrets"] = {"PASSWORD": "secret:PASSWORD"}
    project = make("sick", content)
    project.ask("secret", "set", "PASSWORD", given=PASSWORD)
    assert project.ask("run")["state"] == "Completed"
    assert project.get("production", path="/environment")["PASSWORD"] == PASSWORD
    return project


def test_a_release_that_does_not_do_leaves_the_old_one_serving(project: Project) -> None:
    good = project.get("production")
    for behaviour, said in (("crash", "cannot start with"), ("unhealthy", "web is")):
        assert said in fails(project, behaviour)
        assert project.get("production") == good, "the very process that served before"
    assert project.ask("incidents") == [], "no user has met it"

    assert "rolled back" in fails(project, "crash-soon")
    assert project.get("production") == good, "its old instance stayed until the watch window was over"
    newest, *_ = project.ask("history", "production")
    assert (newest["kind"], newest["state"]) == ("rollback", "Succeeded")
    (incident,) = project.ask("incidents")
    assert incident["caused_by"] == newest["rollback_of"]
    assert {"id", "environment", "opened_at", "mitigated_at", "resolved_at", "state"} <= set(incident)
    assert incident["state"] == "resolved"
    assert "resolved already" in project.refused("incident", "close", incident["id"])
    assert leaks(project.installation.home) == []


def test_a_port_that_somebody_has_taken_is_named(make: Make) -> None:
    with taken_port() as port:
        content = configuration(environments={"production": environment(services={"web": {"port": port}})})
        project = make("taken", content)
        run = project.ask("run", check=None)
        assert run["state"] in {"Failed", "Errored"}
        assert str(port) in run["problem"]
        assert project.running("production") == {}


def fails(project: Project, behaviour: str) -> str:
    """Deliver a release that misbehaves; why its promotion failed."""
    run = project.configuration["services"]["web"]["run"]
    run["environment"] = {"BEHAVIOUR": behaviour}
    run["health"] = {**run["health"], "timeout_seconds": 3}
    project.reconfigure(behaviour)
    ended = project.ask("run", check=1)
    promotion = promoted(ended)["production"]
    assert (ended["state"], promotion["state"]) == ("Failed", "Failed")
    return str(promotion["because"])


def leaks(home: Home) -> list[str]:
    """Where the password stands, apart from what the service itself printed: that goes straight into its file."""
    printed = f"{home.data_plane}/sick/production/logs/"
    return [one for one in places_with(home, PASSWORD) if not one.startswith(printed)]


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]
