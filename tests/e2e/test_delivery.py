"""The story of a change: tested, built once, promoted by digest past people, and taken back."""

from typing import Any

import pytest

from tests.e2e.conftest import Make
from tests.e2e.project import Project, built, configuration, environment, promoted

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]
STEPS = {
    "lint": {"command": "ls web", "inputs": ["web"]},
    "unit": {"command": 'cat "$SHIPLINE_SERVICE/version"', "per": "service"},
}


def states(run: Any) -> dict[str, str]:  # noqa: ANN401  # JSON
    """By step: how it ended."""
    names = (f"{one['name']}@{one['service']}" if one["service"] else one["name"] for one in run["steps"])
    return dict(zip(names, (one["state"] for one in run["steps"]), strict=True))


def test_a_change_reaches_production_by_digest_and_past_two_people(make: Make) -> None:
    environments = {
        "dev": environment(tier="development"),
        "staging": environment("dev", 1, tier="staging"),
        "production": environment("staging", 1, tier="production"),
    }
    project = make("story", configuration(environments=environments, steps=STEPS))
    run = project.ask("run")
    assert (run["state"], states(run)) == ("Waiting", {"lint": "Completed", "unit@web": "Completed"})
    assert {name: one["state"] for name, one in promoted(run).items()} == {"dev": "Succeeded", "staging": "Waiting"}
    assert project.digests("dev") == built(run)
    assert project.get("dev")["version"] == "1"
    assert "is not verified in staging" in refused(project, run["revision"], "production")

    shown = project.waiting("staging")
    assert shown["digests"] == built(run)
    decided = project.ask("approve", "staging", "--comment", "seen in dev")
    assert (decided["id"], decided["decision"]) == (shown["id"], "approve")
    project.succeeds(shown["id"])
    last = project.approve("production")
    assert project.digests("staging") == project.digests("production") == built(run)
    assert project.get("production")["version"] == "1"

    again = project.ask("run")
    assert (again["state"], states(again)) == ("Completed", {"lint": "Cached", "unit@web": "Cached"})
    assert again["artifacts"] == [{"service": "web", "digest": built(run)["web"], "reused": True}]
    assert {name: one["id"] for name, one in promoted(again).items()} == {
        "dev": promoted(run)["dev"]["id"],
        "staging": shown["id"],
        "production": last,
    }
    succeeded = [one for one in project.ask("history") if one["state"] == "Succeeded"]
    assert [one["environment"] for one in succeeded] == ["production", "staging", "dev"]


def test_an_unchanged_service_is_reused_and_an_older_release_comes_back_by_rollback_only(make: Make) -> None:
    content = configuration("web", "api", environments={"production": environment(tier="production")}, steps=STEPS)
    project = make("back", content)
    first = project.ask("run")
    assert first["state"] == "Completed"

    project.commit({"web/version": "2"})
    second = project.ask("run")
    assert states(second)["unit@web"] == "Completed"
    assert {states(second)["unit@api"]} <= {"Cached", "Skipped"}
    assert {one["service"]: one["reused"] for one in second["artifacts"]} == {"web": False, "api": True}
    assert built(second)["api"] == built(first)["api"]

    project.commit({"api/version": "2"})
    third = project.ask("run")
    assert (third["state"], project.digests("production")) == ("Completed", built(third))
    assert "what runs is newer; use rollback to go back" in refused(project, first["revision"], "production")
    assert project.digests("production") == built(third)

    untouched = project.get("production", "api")
    one = project.ask("rollback", "production", "--service", "web", "--to", first["revision"])
    assert (one["state"], one["kind"]) == ("Succeeded", "rollback")
    assert project.digests("production") == {"web": built(first)["web"], "api": built(third)["api"]}
    assert project.get("production", "api") == untouched, "the other service goes on as it was, in the same process"
    assert project.get("production")["version"] == "1"

    whole = project.ask("rollback", "production", "--to", first["revision"])
    assert (whole["state"], project.digests("production")) == ("Succeeded", built(first))
    newest = project.ask("history", "production")[0]
    assert (newest["kind"], newest["rollback_of"]) == ("rollback", one["id"])


def test_a_hold_makes_automation_wait_and_the_newest_release_goes_on_after_it(make: Make) -> None:
    project = make("held", configuration(environments={"dev": environment(), "staging": environment("dev")}))
    assert list(project.ask("policy", "accept")["environments"]) == ["dev", "staging"]
    assert project.ask("hold", "staging", "--reason", "the fair is on")["hold"]["reason"] == "the fair is on"

    older = project.ask("run")
    assert {name: one["state"] for name, one in promoted(older).items()} == {"dev": "Succeeded", "staging": "Waiting"}
    assert older["state"] == "Waiting"
    (waiting,) = project.ask("status", "staging")["environments"][0]["waiting"]
    assert waiting["id"] == promoted(older)["staging"]["id"]
    assert "staging is on hold: the fair is on" in waiting["because"]
    assert project.ask("approvals") == [], "no person is asked while a hold is what stands in the way"

    project.commit({"web/version": "2"})
    newer = project.ask("run")
    superseded = project.ends(waiting["id"])
    assert (superseded["state"], superseded["because"]) == (
        "Superseded",
        f"superseded by promotion {promoted(newer)['staging']['id']}",
    )
    assert "has ended: Superseded" in project.refused("approve", waiting["id"])
    assert project.running("staging") == {}

    assert project.ask("unhold", "staging")["hold"] is None
    project.succeeds(promoted(newer)["staging"]["id"])
    assert project.digests("staging") == built(newer)


def test_uncommitted_changes_reach_dev_and_no_further(make: Make) -> None:
    environments = {"dev": environment(), "staging": environment("dev", tier="staging")}
    project = make("dirty", configuration(environments=environments))
    (project.folder / "web" / "version").write_text("not committed")
    run = project.ask("run", "--dirty")
    assert (run["state"], set(promoted(run))) == ("Completed", {"dev"})
    assert run["based_on"] == project.repository.ids["first"] != run["revision"]
    assert project.get("dev")["version"] == "not committed"
    assert "made from uncommitted changes" in refused(project, run["release"], "staging")
    assert project.repository.git("status", "--porcelain") == " M web/version", "the work tree is left as it was"


def refused(project: Project, what: str, environment: str) -> str:
    """What is said to somebody who asks for a promotion that no gate lets through."""
    found = project.ask("promote", what, "--to", environment, check=4)
    assert found["state"] == "Refused"
    return "; ".join(found["reasons"])
