"""Why a promotion exists: a change, a hotfix that answers an incident, a new configuration, the same once more."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from delivery.dora import measure
from delivery.dora_question import Question, Window
from delivery.dora_rows import read_history
from delivery.errors import ConfigurationError, NotFoundError
from delivery.gates.verdict import short
from delivery.promoting.judging import judge
from delivery.promotion import Kind, Phase, Promotion
from shipline.control.promoting import promote
from tests.fakes.shop import ADA, ALONE, CONFIGURATION, PROJECT, Shop

GATED = CONFIGURATION.replace("{tier: development, smoke: front,", "{tier: development, approvals: {count: 1},")
NEWER = "what runs is newer; use rollback to go back"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def in_other_words(configuration: str) -> str:
    """The same services, of which one runs in another way."""
    return configuration.replace("run: {command: ./web}", "run: {command: ./web --loud}")


def test_a_change_of_nothing_but_how_services_run_is_a_config_once_it_rolls_out(tmp_path: Path) -> None:
    shop = Shop(tmp_path, ALONE)
    shop.deliver(shop.version(), "production")
    asked = shop.request(shop.version(configuration=in_other_words(ALONE)), "production")
    assert asked.kind is Kind.CHANGE
    shop.work_off()
    done = shop.look(asked)
    assert (done.phase, done.kind, [one.service for one in done.changes]) == (Phase.SUCCEEDED, Kind.CONFIG, ["web"])
    [row] = shop.rows("deployments", promotion=done.id)
    assert (row["kind"], row["planned"]) == ("config", True)


def test_an_older_way_to_run_the_same_artifacts_does_not_overwrite_a_newer_one(shop: Shop) -> None:
    older = shop.version()
    newer = shop.version(configuration=in_other_words(CONFIGURATION))
    assert older.artifacts == newer.artifacts
    shop.deliver(newer)
    assert judge(shop.connections, shop.request(older)).refusals == (f"web: {NEWER}",)


def test_an_older_release_does_not_remove_a_service_that_a_newer_one_brought(tmp_path: Path) -> None:
    one_service = "\n".join(line for line in ALONE.splitlines() if not line.startswith("  api:"))
    shop = Shop(tmp_path, ALONE)
    without = shop.version(configuration=one_service.replace("api: {port: 8301}, ", ""))
    shop.deliver(shop.version(), "production")
    refused = judge(shop.connections, shop.request(without, "production")).refusals
    assert refused == (f"api: {NEWER}",)


def test_a_hotfix_is_unplanned_names_the_newest_open_incident_and_goes_on_as_one(shop: Shop) -> None:
    good, bad = shop.version("1"), shop.version("2")
    shop.deliver(good)
    shop.sick.add(bad.artifacts["api"])
    shop.during_smoke = lambda: shop.installation.world.ailments.update({bad.artifacts["api"]: "exited with 1"})
    shop.deliver(bad)
    shop.sick.clear()
    shop.during_smoke = lambda: None
    [incident] = shop.rows("incidents", environment="dev")
    reopen(shop, incident)

    fix = shop.deliver(shop.version("3"), kind=Kind.HOTFIX)

    assert (fix.phase, fix.kind, fix.caused_by_incident) == (Phase.SUCCEEDED, Kind.HOTFIX, incident["id"])
    assert {row["planned"] for row in shop.rows("deployments", promotion=fix.id)} == {False}
    following = shop.promotions(environment="staging")[-1]
    assert (following.kind, following.release) == (Kind.HOTFIX, fix.release)


def reopen(shop: Shop, incident: dict[str, Any]) -> None:
    """Its rollback has resolved it; somebody finds that it goes on."""
    body = {"id": incident["id"], "environment": "dev", "caused_by": incident["caused_by"]}
    shop.installation.ledger.append("shop", [shop._fact("incident.opened", body)])


def test_a_hotfix_answers_the_newest_incident_that_is_open_in_its_environment(shop: Shop) -> None:
    incident(shop, "older", "dev")
    incident(shop, "newer", "dev")
    incident(shop, "over", "dev", "opened", "resolved")
    incident(shop, "elsewhere", "staging")
    version = shop.version()
    assert shop.request(version, kind=Kind.CHANGE).caused_by_incident is None
    assert shop.request(version, kind=Kind.HOTFIX, request="fix").caused_by_incident == "newer"


def incident(shop: Shop, name: str, environment: str, *became: str) -> None:
    """A minute later than the one before it."""
    shop.installation.clock.advance(60)
    for event in became or ("opened",):
        fact = shop._fact(f"incident.{event}", {"id": name, "environment": environment, "caused_by": "p"})
        shop.installation.ledger.append("shop", [fact])


def test_a_hotfix_supersedes_the_changes_that_wait_before_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path, GATED)
    waiting = shop.deliver(shop.version("1"))
    assert waiting.phase is Phase.WAITING
    fix = shop.deliver(shop.version("2"), kind=Kind.HOTFIX)
    assert shop.look(waiting).phase is Phase.SUPERSEDED
    assert fix.phase is Phase.WAITING


def test_a_redeploy_is_a_promotion_of_its_own_that_asks_for_nothing_and_is_not_measured(tmp_path: Path) -> None:
    shop = Shop(tmp_path, ALONE)
    version = shop.version()
    first = shop.deliver(version, "production")
    again = shop.deliver(version, "production", kind=Kind.REDEPLOY, request="again")
    assert (again.id != first.id, again.phase, again.kind) == (True, Phase.SUCCEEDED, Kind.REDEPLOY)
    now = shop.installation.clock.now()
    history = read_history(*(shop.rows(table) for table in ("deployments", "commits", "incidents")))
    question = Question(Window(now - timedelta(days=1), now + timedelta(days=1)))
    assert measure(history, question, now)["n"] == len(first.changes)


def test_a_redeploy_goes_nowhere_else(shop: Shop) -> None:
    version = shop.version()
    shop.deliver(version)
    before = len(shop.promotions(environment="staging"))
    shop.deliver(version, kind=Kind.REDEPLOY, request="again")
    assert len(shop.promotions(environment="staging")) == before


def test_only_what_runs_can_be_applied_again(shop: Shop) -> None:
    first, second = shop.version("1"), shop.version("2")

    def again(what: str) -> Promotion:
        return promote(shop.connections, PROJECT, what, "dev", ADA, request=what, replace_=False, kind=Kind.REDEPLOY)

    with pytest.raises(NotFoundError, match="applying again what runs in dev: nothing runs there"):
        again(first.release)
    shop.deliver(second)
    with pytest.raises(ConfigurationError) as refused:
        again(first.release)
    runs, other = short(second.release), short(first.release)
    assert refused.value.message == f"applying again what runs in dev: that is release {runs}, not {other}"
    assert refused.value.hint.startswith(f"shipline promote {runs} --to dev --redeploy")
    assert again(second.release).kind is Kind.REDEPLOY
