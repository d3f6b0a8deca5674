"""The flow of a run on a real Prefect server: its subflows and tasks in this process, the ports of a workshop."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)

from delivery.run import Run, RunState
from delivery.running.work import read_run
from flows import deliver_revision
from tests.fakes.runner import Act
from tests.servers.prefect import RunningPrefect
from tests.unit.test_running_a_revision import Workshop

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),  # Prefect's
]
WHERE = "(a mistake in Shipline itself, whose traceback stands in logs/control/worker.log under the home)"


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    monkeypatch.setattr(deliver_revision, "connected_here", lambda: made.connections)
    yield made
    made.close()


def deliver(workshop: Workshop, server: RunningPrefect, run: Run) -> tuple[Any, Run]:
    """The state in Prefect, and the run as it is kept."""
    settings = {
        PREFECT_API_URL: f"{server.url}/api",
        PREFECT_API_AUTH_STRING: server.auth,
        PREFECT_LOGGING_TO_API_ENABLED: False,
    }
    with temporary_settings(settings):
        flow: Any = deliver_revision.deliver_revision  # it is typed as awaitable, not as a coroutine
        state = asyncio.run(flow(run.id, return_state=True))
    return state, read_run(workshop.connections, run.id)


def blunder(*_given: object, **_named: object) -> None:
    raise TypeError("'NoneType' object is not iterable")


def test_a_run_goes_its_way(workshop: Workshop, prefect_server: RunningPrefect) -> None:
    state, run = deliver(workshop, prefect_server, workshop.run(workshop.commit()))
    assert (state.type, run.state, run.problem) == ("COMPLETED", RunState.COMPLETED, "")
    assert [one.service for one in run.artifacts] == ["api", "web"]


@pytest.mark.parametrize(
    ("command", "said"), [("unit", f"unit@api: TypeError: 'NoneType' object is not iterable {WHERE}"), ("make web", "")]
)
def test_a_mistake_of_our_own_ends_the_run_errored_at_once_and_names_the_log(
    workshop: Workshop, prefect_server: RunningPrefect, command: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    workshop.play(command, Act(effect=blunder))
    state, run = deliver(workshop, prefect_server, workshop.run(workshop.commit()))
    assert (state.type, state.name, run.state) == ("FAILED", "Errored", RunState.ERRORED)
    assert run.problem.startswith(said or f"TypeError: 'NoneType' object is not iterable {WHERE}")
    assert "in blunder" in caplog.text
    assert workshop.rows("promotions") == []


def test_a_mistake_before_it_is_taken_up_ends_it_errored_too(
    workshop: Workshop, prefect_server: RunningPrefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = workshop.run(workshop.commit())
    monkeypatch.setattr(workshop.connections.operations, "acquire", blunder)
    state, run = deliver(workshop, prefect_server, asked)
    assert (state.name, run.state) == ("Errored", RunState.ERRORED)
    assert run.problem == f"TypeError: 'NoneType' object is not iterable {WHERE}"
