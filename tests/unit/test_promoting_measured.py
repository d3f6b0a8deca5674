"""What promotions leave for DORA's metrics: a change, its failure, the way back and the fix."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from delivery.dora import measure
from delivery.dora_question import Question, Window
from delivery.dora_rows import read_history
from delivery.errors import TransientError
from delivery.promotion import Kind, Phase
from delivery.source import Commit
from tests.fakes.shop import ALONE, Shop
from tests.fakes.source_repository import InMemorySource

MOMENTS = ("started_at", "exposed_at", "live_at", "restored_at", "finished_at")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, ALONE)


def eventful(shop: Shop) -> dict[str, str]:
    """A seed, a change that fails and is rolled back, and its fix; ids by name."""
    seed = shop.deliver(shop.version("1"), "production")
    bad = shop.version("2")
    asked = shop.request(bad, "production")

    def sicken() -> None:
        shop.installation.clock.advance(10)
        shop.sick.clear()
        if shop.look(asked).phase is Phase.VERIFYING:
            shop.sick.add(bad.artifacts["web"])

    shop.during_smoke = sicken
    shop.work_off()
    shop.during_smoke = lambda: None
    shop.sick.clear()
    fix = shop.deliver(shop.version("3"), "production", kind=Kind.HOTFIX)
    [rollback] = shop.promotions(kind="rollback")
    return {"seed": seed.id, "change": asked.id, "rollback": rollback.id, "fix": fix.id}


def api_row(shop: Shop, promotion: str) -> dict[str, Any]:
    [row] = shop.rows("deployments", promotion=promotion, service="api")
    return row


def test_every_deployment_has_its_kind_result_and_times(shop: Shop) -> None:
    ids = eventful(shop)
    found = {
        name: (row["kind"], row["planned"], row["result"], [moment for moment in MOMENTS if row.get(moment)])
        for name in ids
        for row in [api_row(shop, ids[name])]
    }
    whole = ["started_at", "exposed_at", "live_at", "finished_at"]
    assert found == {
        "seed": ("change", True, "succeeded", whole),
        "change": ("change", True, "failed", [*whole[:3], "restored_at", "finished_at"]),
        "rollback": ("rollback", False, "succeeded", whole),
        "fix": ("hotfix", False, "succeeded", whole),
    }
    assert [row["promotion"] for row in shop.rows("deployments", service="web")] == [ids["seed"]]


def test_times_are_in_the_order_in_which_things_happened(shop: Shop) -> None:
    ids = eventful(shop)
    change, rollback = api_row(shop, ids["change"]), api_row(shop, ids["rollback"])
    happened = [change[name] for name in ("started_at", "exposed_at", "finished_at")]
    happened += [rollback["started_at"], rollback["live_at"], rollback["finished_at"]]
    assert happened == sorted(happened)
    assert rollback["live_at"] <= change["restored_at"] <= rollback["finished_at"]
    assert change["exposed_at"] <= change["live_at"]


def test_deployments_point_at_what_they_replace_undo_and_answer(shop: Shop) -> None:
    ids = eventful(shop)
    [incident] = shop.rows("incidents")
    rows = {name: api_row(shop, identity) for name, identity in ids.items()}
    assert [rows[name]["previous"] for name in ids] == [
        None,
        f"{ids['seed']}/api",
        f"{ids['change']}/api",
        f"{ids['rollback']}/api",
    ]
    assert rows["rollback"]["rollback_of"] == ids["change"]
    assert rows["rollback"]["caused_by_incident"] == incident["id"]
    assert rows["change"]["restored_by"] == ids["rollback"]


def test_the_incident_is_mitigated_when_something_else_is_live_and_resolved_when_that_is_good(shop: Shop) -> None:
    ids = eventful(shop)
    [incident] = shop.rows("incidents")
    rollback = api_row(shop, ids["rollback"])
    assert (incident["state"], incident["caused_by"], incident["services"]) == ("resolved", ids["change"], ["api"])
    assert (incident["mitigated_by"], incident["resolved_by"]) == (ids["rollback"], ids["rollback"])
    assert incident["opened_at"] < rollback["live_at"] <= incident["mitigated_at"] < incident["resolved_at"]
    assert incident["because"] == "smoke suite: front page: expected status 200, got 500"


def test_commits_are_told_once_they_are_live_and_not_for_a_seed_or_a_rollback(shop: Shop) -> None:
    ids = eventful(shop)
    told = {one.text("deployment"): one for one in shop.facts() if one.kind == "deployment.commits"}
    subjects = {
        name: ([str(commit["subject"]) for commit in fact.documents("commits")], fact.body["flag"])
        for name, identity in ids.items()
        for fact in [told[f"{identity}/api"]]
    }
    assert subjects == {
        "seed": ([], "seed"),
        "change": (["api 2, web 1"], None),
        "rollback": ([], None),
        "fix": (["api 3, web 1", "api 2, web 1"], None),
    }


def test_commits_that_nobody_can_tell_say_so_and_do_not_stop_a_rollout(shop: Shop) -> None:
    shop.deliver(shop.version("1"), "production")
    version = shop.version("2")
    asked = shop.request(version, "production")

    class Forgetful(InMemorySource):
        def commits(self, base: str | None, head: str, paths: Sequence[str] = ()) -> tuple[Commit, ...]:
            raise TransientError(f"reading commits {base}..{head} of {paths}: the mirror is gone")

    known = shop.installation.source
    forgetful = Forgetful(names=known.names, _commits=known._commits, _trees=known._trees)
    shop.work_off(replace(shop.connections, source=lambda _project: forgetful))
    [told] = [
        one for one in shop.facts() if one.kind == "deployment.commits" and one.body["flag"] not in {"seed", None}
    ]
    assert str(told.body["flag"]).startswith("unknown: reading commits")
    assert shop.look(asked).phase is Phase.SUCCEEDED


class CountingSource(InMemorySource):
    """Remembers what was asked."""

    asked: Counter[str]

    def touched(self, base: str, head: str) -> Collection[str]:
        self.asked["touched"] += 1
        return super().touched(base, head)

    def commits(self, base: str | None, head: str, paths: Sequence[str] = ()) -> tuple[Commit, ...]:
        self.asked[" ".join(paths)] += bool(paths)
        return super().commits(base, head, paths)


def test_what_services_share_is_asked_once_and_only_those_that_commits_reach_are_asked_about(shop: Shop) -> None:
    shop.deliver(shop.version(), "production")
    source = CountingSource(
        names=shop.installation.source.names,
        _commits=shop.installation.source._commits,
        _trees=shop.installation.source._trees,
    )
    source.asked = Counter()
    shop.installation.source = source
    shop.connections = shop.connect()
    reached = shop.version(web="2")
    services = shop.release(reached.commit, api="another build", web="2")

    changed = shop.deliver(services, "production")

    assert [one.service for one in changed.changes] == ["api", "web"]
    assert +source.asked == {"touched": 1, "web": 1}


def test_the_metrics_of_that_history(shop: Shop) -> None:
    ids = eventful(shop)
    now = shop.installation.clock.now()
    tables = (shop.rows(table) for table in ("deployments", "commits", "incidents"))
    question = Question(Window(now - timedelta(days=1), now + timedelta(days=1)))
    measured: dict[str, Any] = measure(read_history(*tables), question, now)
    metrics = measured["metrics"]
    assert measured["n"] == 5
    change, rollback, fix = (f"{ids[name]}/api" for name in ("change", "rollback", "fix"))
    assert metrics["change_fail_rate"]["hits"] == [change]
    assert metrics["failed_deployment_recovery_time"]["rows"] == [change]
    assert metrics["deployment_rework_rate"]["hits"] == [rollback, fix]
    assert [row.rpartition("/")[0] for row in metrics["change_lead_time"]["rows"]] == [change, fix]
