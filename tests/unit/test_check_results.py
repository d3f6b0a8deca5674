"""Check results come in, count when they are the newest, and wake who waits for them."""

from pathlib import Path

import pytest

from delivery.checks import Result
from delivery.errors import ConfigurationError
from delivery.ledger import Draft
from delivery.promoting.judging import judge
from delivery.promoting.reporting import LONGEST_TEXT
from delivery.promotion import Kind, Phase, Promotion
from shipline.control.checking import Report, take_result
from shipline.control.control import Control
from shipline.control.dispatcher import tick
from tests.fakes.door import Door
from tests.fakes.flow_runs import RecordedFlowRuns
from tests.fakes.shop import ADA, CONFIGURATION, PROJECT, Shop, run_pass

LIMIT = "has 1 to 80 printable characters"
CHECKED = CONFIGURATION.replace(
    "{tier: development, ", "{tier: development, checks: [{name: scan, of: release, fresh_seconds: 3600}], "
)


class Plane:
    """A shop whose dev asks for a scan, its dispatcher, and its flow runs."""

    def __init__(self, folder: Path) -> None:
        self.shop = Shop(folder, CHECKED)
        self.flow_runs = RecordedFlowRuns()
        self.control = Control(self.shop.connections, self.flow_runs)

    def report(self, release: str, result: Result = "passed", summary: str = "") -> list[str]:
        """The promotions that looked again."""
        told = take_result(self.control, PROJECT, Report("scan", result, release=release, summary=summary), ADA)
        woken = told["woken"]
        assert isinstance(woken, list)
        return [str(one) for one in woken]

    def waiting(self) -> Promotion:
        found = self.shop.deliver(self.shop.version("1"))
        assert (found.phase, found.because) == (Phase.WAITING, "check 'scan' has no result")
        return found

    def tick(self) -> int:
        """Look once without looking at what waits; how many flow runs were started so far."""
        tick(self.control, thorough=False)
        return len(self.flow_runs.started)


@pytest.fixture
def plane(tmp_path: Path) -> Plane:
    return Plane(tmp_path)


def test_a_result_wakes_what_waits_for_it(plane: Plane) -> None:
    waiting, shop = plane.waiting(), plane.shop
    tick(plane.control, thorough=True)
    assert plane.tick() == 0, "nothing to do before it comes"
    assert plane.report(waiting.release) == [waiting.id]
    assert plane.tick() == 1
    run_pass(shop.connections, waiting.id)
    assert shop.look(waiting).phase is Phase.SUCCEEDED


def test_a_failed_result_ends_what_waits_for_it(plane: Plane) -> None:
    waiting, shop = plane.waiting(), plane.shop
    plane.report(waiting.release, "failed", summary="a hole")
    assert plane.tick() == 1
    run_pass(shop.connections, waiting.id)
    assert (shop.look(waiting).phase, shop.look(waiting).because) == (Phase.REFUSED, "check 'scan' failed: a hole")


def test_the_newest_result_counts_and_only_as_long_as_it_is_fresh(plane: Plane) -> None:
    shop = plane.shop
    version = shop.version("1")
    plane.report(version.release, "failed")
    plane.report(version.release)
    assert shop.deliver(version).phase is Phase.SUCCEEDED
    shop.installation.clock.advance(3601)
    stale = shop.deliver(version, kind=Kind.REDEPLOY, request="again")
    assert stale.because.endswith("more than 3600 s ago")
    [row] = shop.rows("checks")
    assert (row["name"], row["of"], row["subject"], row["result"]) == ("scan", "release", version.release, "passed")
    assert row["by"] == {"kind": "person", "subject": "ada", "evidence": "api-token"}
    shop.check_ledger()


def test_a_result_about_another_release_changes_nothing(plane: Plane) -> None:
    waiting, shop = plane.waiting(), plane.shop
    other = shop.version("2")
    assert plane.report(other.release) == []
    tick(plane.control, thorough=True)
    assert (plane.tick(), shop.look(waiting).phase) == (0, Phase.WAITING)


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (Report("scan", "passed"), "reporting a check: name a revision or a release"),
        (Report("scan", "passed", "main", "1.0"), "reporting a check: name a revision or a release"),
        (Report(" ", "passed", release="R"), f"reporting check ' ': a name {LIMIT}"),
        (
            Report("x" * 81, "passed", release="R"),
            f"reporting check '{'x' * 80}': a name has 1 to 80 printable characters",
        ),
        (
            Report("scan", "passed", release="R", summary="x" * (LONGEST_TEXT + 1)),
            "reporting check 'scan': summary and URL have at most 2000 characters",
        ),
        (
            Report("scan", "passed", release="R", url="https://ada:secret@example.org"),
            "reporting check 'scan': the URL is no http or https address, or has a password in it",
        ),
        (
            Report("scan", "passed", release="R", url="javascript:alert(1)"),
            "reporting check 'scan': the URL is no http or https address, or has a password in it",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused(plane: Plane, report: Report, message: str) -> None:
    release = plane.shop.version().release
    asked = Report(report.name, report.result, report.revision, report.release and release, report.url, report.summary)
    with pytest.raises(ConfigurationError) as caught:
        take_result(plane.control, PROJECT, asked, ADA)
    assert caught.value.message == message
    assert plane.shop.rows("checks") == []


def test_the_api_takes_a_result(plane: Plane) -> None:
    door, release = Door(plane.shop.connections), plane.shop.version().release
    answer = door.ask("POST", "/projects/shop/checks", json={"name": "scan", "result": "passed", "release": release})
    assert (answer.status_code, answer.json()["subject"], answer.json()["woken"]) == (201, release, [])
    bad = door.ask("POST", "/projects/shop/checks", json={"name": "scan", "result": "maybe", "release": release})
    assert bad.status_code == 422


def test_automation_waits_for_the_end_of_an_incident(tmp_path: Path) -> None:
    quiet = CONFIGURATION.replace("after: dev, ", "after: dev, no_open_incident: true, ").replace(
        "approvals: {count: 1, expires_after_seconds: 3600},", ""
    )
    shop = Shop(tmp_path, quiet)

    def tell(kind: str, **fields: str) -> None:
        fact = Draft(kind, {"id": "i-1", **fields}, ADA, shop.connections.clock.now())
        shop.installation.ledger.append(PROJECT, [fact])

    tell("incident.opened", environment="staging", caused_by="somebody's network")
    shop.deliver(shop.version("1"))
    [waiting] = shop.promotions(environment="staging")
    assert (waiting.phase, waiting.because) == (Phase.WAITING, "incident i-1 is open in staging")
    tell("incident.mitigated")
    assert judge(shop.connections, waiting).waits, "it is not over"
    tell("incident.resolved")
    run_pass(shop.connections, waiting.id)
    assert shop.look(waiting).phase is Phase.SUCCEEDED


def test_a_quota_holds_the_next_rollout_back_until_its_time_comes(tmp_path: Path) -> None:
    limited = CONFIGURATION.replace(
        "{tier: development, ", "{tier: development, quota: {promotions: 2, per_seconds: 3600}, "
    )
    shop = Shop(tmp_path, limited)
    for text in ("1", "2"):
        assert shop.deliver(shop.version(text)).phase is Phase.SUCCEEDED
    third = shop.deliver(shop.version("3"))
    assert third.phase is Phase.WAITING
    assert third.because.startswith(
        "2 rollouts began in dev lately, at most 2 in 3600 s; the next may at 2026-11-22T13:"
    )
    hotfix = shop.deliver(shop.version("4"), kind=Kind.HOTFIX)
    assert hotfix.phase is Phase.SUCCEEDED
    shop.installation.clock.advance(3600)
    last = shop.deliver(shop.version("5"))
    assert last.phase is Phase.SUCCEEDED
