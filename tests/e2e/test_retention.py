"""What is forgotten after its time: Prefect's rows and our logs go, and nothing that the ledger tells changes."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from delivery.adapters.postgresql.urls import read_urls
from delivery.home import Home
from delivery.run import Run, RunState
from shipline.control.retention_process import run_retention
from tests.e2e.project import configuration, environment, make_project
from tests.servers.installation import Installation, installation, until

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

Connection = psycopg.Connection[tuple[Any, ...]]
_ENDED = "state_type IN ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')"
_LONG_AGO = "01000000-0000-7000-8000-00000000000"
"""The id of a run of 1974, but for its last digit."""
_THEN = datetime(1974, 1, 1, tzinfo=UTC)


@pytest.fixture
def place() -> Iterator[Installation]:
    """An installation of its own, for its control plane is started again."""
    with installation() as made:
        made.cli("up", cwd=made.home.root.parent)
        yield made


@contextmanager
def prefects(home: Home) -> Iterator[Connection]:
    """Prefect's own database."""
    url = read_urls(home).prefect.replace("postgresql+asyncpg://", "postgresql://", 1)
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        yield connection


def count(connection: Connection, query: str) -> int:
    found = connection.execute(f"SELECT count(*) FROM {query}".encode()).fetchone()
    assert found is not None
    return int(found[0])


def grow_old(connection: Connection) -> None:
    """Let everything that has ended in Prefect have ended 100 days ago; what waits goes on waiting."""
    connection.execute(f"UPDATE flow_run SET end_time = end_time - interval '100 days' WHERE {_ENDED}".encode())
    connection.execute("UPDATE events SET occurred = occurred - interval '100 days'")


def test_what_prefect_forgets_changes_nothing_that_the_ledger_tells(place: Installation, tmp_path: Path) -> None:
    environments = {"dev": environment(), "staging": environment("dev", approvals=1)}
    steps = {"unit": {"command": "echo passed"}}
    project = make_project(place, tmp_path, "old", configuration(environments=environments, steps=steps))
    run = project.ask("run")
    waiting = project.waiting("staging")["id"]
    before = project.told()
    with prefects(place.home) as prefect:
        until(lambda: count(prefect, f"flow_run WHERE {_ENDED}") >= 2, "flow runs to end")
        events = count(prefect, "events")
        assert count(prefect, "flow_run WHERE state_type = 'PAUSED'") == 1
        assert (events > 0, count(prefect, "log") > 0, count(prefect, "task_run") > 0) == (True, True, True)

    project.cli("down")
    project.cli("up")  # Prefect's cleaning looks as it starts
    with prefects(place.home) as prefect:
        assert count(prefect, f"flow_run WHERE {_ENDED}") >= 2, "what is young stays"
        grow_old(prefect)
    project.cli("down")
    project.cli("up")

    with prefects(place.home) as prefect:
        until(lambda: count(prefect, f"flow_run WHERE {_ENDED}") == 0, "old flow runs to go")
        until(lambda: count(prefect, "events WHERE occurred < now() - interval '8 days'") == 0, "old events to go")
        assert count(prefect, "flow_run WHERE state_type = 'PAUSED'") == 1, "it waits for a person, however long"
        of_nothing = "log WHERE flow_run_id NOT IN (SELECT id FROM flow_run)"
        until(lambda: count(prefect, of_nothing) == 0, "the logs of what went to go")
        assert count(prefect, "task_run WHERE flow_run_id NOT IN (SELECT id FROM flow_run)") == 0
    assert project.told() == before
    assert project.ask("logs", run["id"], "--step", "unit")["lines"] == ["passed"]
    assert project.approve("staging") == waiting


def test_retention_is_a_process_that_clears_a_real_home(place: Installation) -> None:
    logs = place.home.run_logs(f"{_LONG_AGO}1")
    logs.mkdir(parents=True)
    (logs / "unit.log").write_text("passed\n")
    forgotten = Run(f"{_LONG_AGO}2", "old", "c0ffee", None, _THEN, "ada").ended(RunState.COMPLETED, "", _THEN)
    with closing(psycopg.connect(read_urls(place.home).application, autocommit=True)) as connection:
        connection.execute(
            "INSERT INTO documents (table_name, key, project, document) VALUES ('runs', %s, 'old', %s)",
            (forgotten.id, json.dumps(forgotten.document())),
        )

        assert asyncio.run(run_retention(place.home))

        assert not logs.exists()
        assert count(connection, "documents WHERE project = 'old'") == 0
