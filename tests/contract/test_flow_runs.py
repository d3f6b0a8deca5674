"""What starts flow runs: the record in memory and a real Prefect server do the same."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from delivery.errors import NotFoundError
from delivery.ports import FlowRuns
from deployments.placements import PlacedFlow
from deployments.prefect_placement import PrefectPlacement
from deployments.prefect_rest import PrefectRest
from tests.fakes.flow_runs import RecordedFlowRuns
from tests.servers.prefect import RunningPrefect

PROBE = PlacedFlow("probe", "probe_flow.probe", ("run",))
PROMOTE = PlacedFlow("promote-release", "probe_flow.promote", ("promotion",), per_environment=True)


@pytest.fixture(params=["memory", pytest.param("prefect", marks=pytest.mark.integration)])
def flow_runs(request: pytest.FixtureRequest) -> Iterator[FlowRuns]:
    if request.param == "memory":
        yield RecordedFlowRuns()
        return
    server: RunningPrefect = request.getfixturevalue("prefect_server")
    placement = PrefectPlacement(PrefectRest(f"{server.url}/api", server.auth), flows=(PROBE, PROMOTE))
    yield placement
    placement.close()


@pytest.fixture
def project(flow_runs: FlowRuns) -> str:
    slug = f"shop-{uuid4().hex[:8]}"
    flow_runs.ensure_deployments(slug, ["dev", "production"])
    return slug


def test_a_key_starts_one_flow_run_however_often_it_is_asked(flow_runs: FlowRuns, project: str) -> None:
    first = flow_runs.start("probe", project, {"run": "1"}, key=f"{project}/1", name="run 1")
    assert flow_runs.start("probe", project, {"run": "1"}, key=f"{project}/1") == first
    assert flow_runs.start("probe", project, {"run": "2"}, key=f"{project}/2") != first


def test_a_started_flow_run_is_scheduled(flow_runs: FlowRuns, project: str) -> None:
    flow_run = flow_runs.start("promote-release", project, {"promotion": "p"}, key=project, environment="dev")
    assert flow_runs.state(flow_run) == "SCHEDULED"


def test_only_a_suspended_flow_run_can_be_woken(flow_runs: FlowRuns, project: str) -> None:
    flow_run = flow_runs.start("probe", project, {"run": "1"}, key=project)
    assert not flow_runs.wake(flow_run)


def test_an_unknown_flow_run_has_no_state_and_is_not_woken(flow_runs: FlowRuns) -> None:
    unknown = str(uuid4())
    assert flow_runs.state(unknown) is None
    assert not flow_runs.wake(unknown)


def test_deployments_may_be_ensured_again(flow_runs: FlowRuns, project: str) -> None:
    flow_runs.ensure_deployments(project, ["dev", "staging", "production"])
    assert flow_runs.start("promote-release", project, {"promotion": "p"}, key=project, environment="staging")


def test_a_flow_that_is_not_placed_is_not_found(flow_runs: FlowRuns, project: str) -> None:
    with pytest.raises(NotFoundError):
        flow_runs.start("unheard-of", project, {}, key=project)


def test_history_tells_every_flow_run_of_the_project_and_of_no_other(flow_runs: FlowRuns, project: str) -> None:
    flow_runs.ensure_deployments("other", [])
    started = [flow_runs.start("probe", project, {"run": str(number)}, key=f"{project}/{number}") for number in (1, 2)]
    flow_runs.start("probe", "other", {"run": "3"}, key=f"{project}/3")
    told = list(flow_runs.history(project))
    assert [(row["id"], row["flow"], row["parameters"], row["state"]) for row in told] == [
        (started[0], "probe", {"run": "1"}, "SCHEDULED"),
        (started[1], "probe", {"run": "2"}, "SCHEDULED"),
    ]
    assert all({"message", "started_at", "ended_at"} <= row.keys() for row in told)


def test_a_page_names_its_flow_run(flow_runs: FlowRuns) -> None:
    assert flow_runs.url("0192").endswith("/v2/runs/flow-run/0192")
