"""Promotions that wait for their time, on a whole installation of fakes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from delivery.freezing import Span
from delivery.gates.verdict import Verdict
from delivery.promoting.judging import judge
from delivery.promotion import Kind, Phase, Promotion
from tests.fakes.shop import CONFIGURATION, Shop, Version, run_pass

NOT_THERE = "it is not in the table"
BY_HAND = ("us: {tier: staging", "us: {automatic: false, tier: staging")
EU_AND_US = """\
version: 1
project: shop
services:
  api: {paths: [api], build: {command: [make, api]}, run: {command: ./api}}
  web: {paths: [web], build: {command: [make, web]}, run: {command: ./web}}
environments:
  dev: {watch_seconds: 0}
  eu: {tier: staging, after: dev, watch_seconds: 0}
  us: {tier: staging, after: dev, watch_seconds: 0}
  production: {tier: production, after: {all: [eu, us]}, watch_seconds: 0}
"""


def dev(*more: str) -> str:
    """The shop with more said about dev."""
    return CONFIGURATION.replace("{tier: development, ", f"{{tier: development, {', '.join(more)}, ")


def verdict(shop: Shop, promotion: Promotion, gate: str) -> Verdict:
    [found] = [one for one in judge(shop.connections, shop.look(promotion)).verdicts if one.gate == gate]
    return found


def again(shop: Shop, promotion: Promotion) -> Promotion:
    """As the dispatcher looks again at what waits, and wakes it when nothing asks it to wait any more."""

    if not judge(shop.connections, shop.look(promotion)).waits:
        run_pass(shop.connections, promotion.id)
    return shop.look(promotion)


def test_a_freeze_holds_a_change_and_lets_it_go_when_it_ends(tmp_path: Path) -> None:
    shop = Shop(
        tmp_path, dev("freeze: [{name: audit, from: 2026-11-22T00:00, until: 2026-11-22T13:00, allow: [hotfix]}]")
    )
    waiting = shop.deliver(shop.version())
    assert (waiting.phase, waiting.because) == (Phase.WAITING, "frozen by 'audit' until 2026-11-22T13:00:00Z")
    assert again(shop, waiting).phase is Phase.WAITING
    shop.installation.clock.advance(3600)
    assert again(shop, waiting).phase is Phase.SUCCEEDED


def test_a_hotfix_passes_where_the_window_allows_it_and_a_failed_rollout_always_goes_back(tmp_path: Path) -> None:
    shop = Shop(tmp_path, dev("freeze: [{name: audit, from: 2026-11-23, until: 2026-11-23, allow: [hotfix]}]"))
    shop.deliver(shop.version("1"))
    shop.installation.clock.advance(86_400)
    hotfix = shop.version(web="2")
    shop.sick.add(hotfix.artifacts["web"])
    failed = shop.deliver(hotfix, kind=Kind.HOTFIX)
    assert failed.phase is Phase.FAILED
    [back] = shop.promotions(rollback_of=failed.id)
    assert back.phase is Phase.SUCCEEDED


def test_a_calendar_is_read_at_the_revision_that_is_promoted(tmp_path: Path) -> None:
    shop = Shop(tmp_path, dev("freeze: [{name: company, calendar: company.ics}]"))
    without = shop.version("1")
    assert shop.deliver(without).because == (f"freeze 'company': company.ics is not in revision {without.commit[:12]}")
    shop.installation.source.commit({"company.ics": b"calendar"})
    shop.installation.calendars.events[b"calendar"] = [
        Span(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC), "stocktaking")
    ]
    waiting = shop.deliver(shop.version("2"))
    assert waiting.because == "frozen by 'company' (stocktaking) until 2026-11-23T00:00:00Z"
    shop.installation.clock.advance(86_400)
    assert again(shop, waiting).phase is Phase.SUCCEEDED


def test_a_calendar_that_cannot_be_read_refuses(tmp_path: Path) -> None:
    shop = Shop(tmp_path, dev("freeze: [{name: company, calendar: company.ics}]"))
    shop.installation.source.commit({"company.ics": b"nonsense"})
    version = shop.version()
    refused = shop.deliver(version)
    assert (refused.phase, refused.because) == (
        Phase.REFUSED,
        f"freeze 'company': reading company.ics at {version.commit[:12]}: it is no iCalendar file: {NOT_THERE}",
    )


def test_conditions_ask_about_what_is_promoted(tmp_path: Path) -> None:
    careful = """conditions: [{name: one at a time, because: deploy services one by one,
      cel: 'size(changes) == 1 || changes.all(c, c.first)'},
      {name: facts, because: these are the facts, cel: 'promotion.requested_by == "ada" &&
       promotion.tier == "development" && release.services == ["api", "web"] && release.version != ""
       && size(incidents) == 0 && size(checks) == 0
       && now >= promotion.requested_at && changes.all(c, c.to.startsWith("sha256:"))'}]"""
    shop = Shop(tmp_path, dev(careful))
    assert shop.deliver(shop.version("1", "1")).phase is Phase.SUCCEEDED, "all for the first time"
    assert shop.deliver(shop.version("2", "1")).phase is Phase.SUCCEEDED
    both = shop.deliver(shop.version("3", "3"))
    assert (both.phase, both.because) == (Phase.REFUSED, "condition 'one at a time': deploy services one by one")


def test_a_condition_that_waits_goes_on_when_it_is_true(tmp_path: Path) -> None:
    hours = "conditions: [{name: hours, because: it is lunchtime, otherwise: wait, cel: 'now.getHours() != 12'}]"
    shop = Shop(tmp_path, dev(hours))
    waiting = shop.deliver(shop.version())
    assert (waiting.phase, waiting.because) == (Phase.WAITING, "condition 'hours': it is lunchtime")
    shop.installation.clock.advance(3600)
    assert again(shop, waiting).phase is Phase.SUCCEEDED


def test_a_release_soaks_before_it_goes_on(tmp_path: Path) -> None:
    soaking = CONFIGURATION.replace("after: dev, ", "after: dev, soak_seconds: 3600, ").replace(
        "approvals: {count: 1, expires_after_seconds: 3600},", ""
    )
    shop = Shop(tmp_path, soaking)
    shop.deliver(shop.version())
    [waiting] = shop.promotions(environment="staging")
    found = verdict(shop, waiting, "soaked")
    assert (waiting.phase, found.reasons) == (Phase.WAITING, (waiting.because,))
    assert found.until is not None
    assert timedelta(minutes=59) < found.until - shop.connections.clock.now() <= timedelta(hours=1)
    shop.installation.clock.advance(3600)
    assert again(shop, waiting).phase is Phase.SUCCEEDED


def test_what_two_environments_must_have_verified_goes_on_after_the_later_one(tmp_path: Path) -> None:
    shop = Shop(tmp_path, EU_AND_US)
    shop.deliver(shop.version("1"))
    assert placed(shop) == {"dev": ["Succeeded"], "eu": ["Succeeded"], "us": ["Succeeded"], "production": ["Succeeded"]}


def test_what_one_of_two_environments_lost_is_refused(tmp_path: Path) -> None:
    """The quicker one has verified it and asked already when the other one goes back."""
    shop = Shop(
        tmp_path,
        EU_AND_US.replace("us: {tier", "us: {smoke: front, tier").replace(
            "environments:", "smoke: {front: {requests: [{service: web, path: /}]}}\nenvironments:"
        ),
    )
    shop.deliver(shop.version("1"))
    version = shop.version("1", "2")
    shop.sick.add(version.artifacts["web"])
    shop.deliver(version)
    assert placed(shop, version) == {
        "dev": ["Succeeded"],
        "eu": ["Succeeded"],
        "us": ["Failed"],
        "production": ["Refused"],
    }
    assert shop.serving("production")["web"] != version.artifacts["web"]


def test_nobody_asks_for_an_environment_whose_other_upstream_nobody_goes_to(tmp_path: Path) -> None:
    shop = Shop(tmp_path, EU_AND_US.replace(*BY_HAND))
    version = shop.version()
    shop.deliver(version)
    assert placed(shop) == {"dev": ["Succeeded"], "eu": ["Succeeded"]}
    shop.deliver(version, "us")
    assert placed(shop)["production"] == ["Succeeded"]


def test_any_of_two_environments_is_enough_where_that_is_said(tmp_path: Path) -> None:
    shop = Shop(
        tmp_path,
        EU_AND_US.replace("all:", "any:").replace(*BY_HAND),
    )
    version = shop.version()
    shop.deliver(version)
    assert placed(shop)["production"] == ["Succeeded"]
    shop.deliver(version, "us")
    assert placed(shop)["production"] == ["Succeeded"], "it is there already"


def placed(shop: Shop, version: Version | None = None) -> dict[str, list[str]]:
    """Phases of changes by environment."""
    found: dict[str, list[str]] = {}
    for one in shop.promotions():
        if one.kind is Kind.CHANGE and (version is None or one.release == version.release):
            found.setdefault(one.environment, []).append(one.phase.value)
    return found
