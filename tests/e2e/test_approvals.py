"""People's decisions: who said what about which candidate, and what it no longer changes."""

from typing import Any

import pytest

from tests.e2e.conftest import Make
from tests.e2e.project import Project, configuration, environment, promoted

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def project(make: Make) -> Project:
    """Two people for staging; for demo one, within two seconds, and only when somebody asks."""
    demo = environment(automatic=False)
    demo["approvals"] = {"count": 1, "expires_after_seconds": 2}
    return make("people", configuration(environments={"staging": environment(approvals=2), "demo": demo}))


def test_decisions_are_for_one_candidate_by_different_people_and_in_time(project: Project) -> None:
    first = waits(project)
    assert project.ask("approve", first)["promotion_state"] in {"Waiting", "Judging"}
    assert "has approved" in project.refused("approve", first)
    by_another = project.ask("approve", first, "--person", "grace")
    assert (by_another["approver"], by_another["evidence"]) == ("grace", "none")
    project.succeeds(first)
    assert set(project.ask("history", "staging")[0]["approvals"]) == {project_user(project, first), "grace"}
    assert f"promotion {first} has ended: Succeeded" in project.refused("approve", first)
    assert "only an Errored one can be retried" in project.refused("retry", first)
    assert "has ended" in project.refused("abort", first, "--reason", "too late")

    late = project.ask("promote", "HEAD", "--to", "demo", "--wait", check=4)
    assert (late["state"], late["reasons"]) == ("Refused", ["approval expired: 0 of 1 given in time"])
    assert "approval expired" in project.refused("approve", late["id"])
    assert project.running("demo") == {}

    project.commit({"web/version": "2"})
    rejected = waits(project)
    with project.installation.following("promote", "HEAD", "--to", "staging", "--wait", cwd=project.folder) as follower:
        assert project.ask("reject", rejected, "--reason", "not before Monday")["promotion_state"] == "Refused"
        assert follower.wait(120) == 4, "who waits for it learns that it was refused"
    ended = project.ends(rejected)
    assert (ended["state"], "not before Monday" in ended["because"]) == ("Refused", True)
    assert "has ended: Refused, rejected by" in project.refused("approve", rejected)

    project.commit({"web/version": "3"})
    aborted = waits(project)
    assert project.ask("abort", aborted, "--reason", "wrong branch")["state"] == "Aborted"
    assert "has ended: Aborted, aborted by" in project.refused("approve", aborted)
    assert project.get("staging")["version"] == "1"


def waits(project: Project) -> str:
    """Run what is committed until it waits for people; the promotion's id."""
    run = project.ask("run")
    assert run["state"] == "Waiting"
    promotion: dict[str, Any] = promoted(run)["staging"]
    assert promotion["state"] == "Waiting"
    return str(promotion["id"])


def project_user(project: Project, promotion: str) -> str:
    """Who the command line says we are."""
    found = next(one for one in project.ask("history", "staging") if one["id"] == promotion)
    return str(found["by"])
