"""Gates hold a promotion and let it go, on a real installation and through the command line."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.conftest import Make
from tests.e2e.project import Document, Project, built, configuration, environment, promoted

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

FROZEN_SECONDS = 60
CALENDAR = """\
BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//shop//EN\r
BEGIN:VEVENT\r
UID:1\r
DTSTAMP:20260101T000000Z\r
SUMMARY:stocktaking\r
DTSTART:20260101T000000Z\r
DTEND:{ends:%Y%m%dT%H%M%SZ}\r
END:VEVENT\r
END:VCALENDAR\r
"""


def frozen_until(ends: datetime) -> Document:
    """Dev, and live behind it: frozen until then by dates and by a calendar, with a check and a condition."""
    dates = {"name": "audit", "from": "2026-01-01", "until": f"{ends:%Y-%m-%dT%H:%M:%S}", "allow": ["hotfix"]}
    small = {"name": "small", "cel": "size(changes) <= 1", "because": "it is too much at once"}
    live = environment(
        "dev",
        tier="staging",
        freeze=[dates, {"name": "company", "calendar": "company.ics"}],
        checks=[{"name": "load-test"}],
        conditions=[small],
        quota={"promotions": 5, "per_seconds": 60},
        no_open_incident=True,
    )
    return configuration(environments={"dev": environment(), "live": live})


def test_a_freeze_and_a_check_hold_a_promotion_and_let_it_go(make: Make) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=FROZEN_SECONDS)
    project = make("frozen", frozen_until(ends))
    project.commit({"company.ics": CALENDAR.format(ends=ends)})
    assert list(project.ask("policy", "accept")["environments"]) == ["dev", "live"]
    before = gates(project)
    assert before["release"]["waiting"]
    assert not before["not frozen"]["passed"]

    first = project.ask("run")
    assert {name: one["state"] for name, one in promoted(first).items()} == {"dev": "Succeeded", "live": "Waiting"}
    text = f"{ends:%Y-%m-%dT%H:%M:%SZ}"
    missing = "check 'load-test' has no result"
    frozen = [f"frozen by 'audit' until {text}", f"frozen by 'company' (stocktaking) until {text}"]
    waiting = waits(project)
    assert waiting["because"] == f"Waiting: {'; '.join([*frozen, missing])}"
    assert waiting["until"] == f"{ends:%Y-%m-%dT%H:%M:%S}.000000Z"
    assert f"check-result 'load-test' passed --revision {first['revision'][:12]}" in waiting["unblocked_by"]
    assert project.ask("approvals") == [], "no person is asked about time"

    told = project.ask("check-result", "load-test", "passed", "--revision", "HEAD", "--summary", "p95 120 ms")
    assert (told["subject"], told["woken"]) == (first["revision"], [waiting["id"]])
    assert waits(project)["because"] == f"Waiting: {'; '.join(frozen)}"
    assert [name for name, one in gates(project).items() if not one["passed"]] == ["not frozen"]

    project.succeeds(waiting["id"])
    assert datetime.now(UTC) >= ends
    assert project.digests("live") == built(first)

    project.commit({"web/version": "2"})
    second = promoted(project.ask("run"))["live"]
    assert (second["state"], second["because"]) == ("Waiting", missing)
    project.ask("check-result", "load-test", "failed", "--revision", "HEAD", "--summary", "p95 900 ms")
    assert project.ends(second["id"])["because"] == "check 'load-test' failed: p95 900 ms"
    assert project.digests("live") == built(first), "nothing was changed"
    assert project.ask("ledger", "verify")["ok"]


def waits(project: Project) -> Document:
    """The one that waits for live, as status says."""
    (found,) = project.ask("status", "live")["environments"][0]["waiting"]
    return dict(found)


def gates(project: Project) -> dict[str, Any]:
    """By name: what each gate of live would say of what the work tree stands on."""
    return {one["gate"]: one for one in project.ask("plan", "--to", "live")["gates"]}
