"""Every gate asked about real facts: what the ledger and the source know when a promotion is judged."""

from pathlib import Path

import pytest

from delivery.actor import SHIPLINE
from delivery.gates.verdict import short
from delivery.promoting.judging import judge
from delivery.promoting.requesting import request_promotion, rollback_to
from delivery.promotion import Kind, Phase, Promotion
from shipline.control.promoting import roll_back
from tests.fakes.shop import ADA, ALONE, PROJECT, Shop, run_pass

DEVELOPMENT = ALONE.replace("production:", "dev:").replace("tier: production", "tier: development")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def refusals(shop: Shop, promotion: Promotion) -> tuple[str, ...]:
    return judge(shop.connections, shop.look(promotion)).refusals


def test_what_no_environment_before_has_verified_is_refused(shop: Shop) -> None:
    version = shop.version()
    asked = shop.request(version, "production")
    assert refusals(shop, asked) == (f"release {short(version.release)} is not verified in staging",)


def test_a_verification_that_was_revoked_closes_the_gates_downstream(shop: Shop) -> None:
    good, version = shop.version("0"), shop.version("1")
    shop.deliver(good)
    shop.deliver(version)
    [_, waiting] = shop.promotions(environment="staging")
    assert refusals(shop, waiting) == ()
    shop.sick.add(version.artifacts["web"])
    shop.deliver(version, kind=Kind.REDEPLOY, request="again")
    assert refusals(shop, waiting) == (
        f"release {short(version.release)} is not verified in dev",
        f"{short(version.release)} is marked bad",
    )
    shop.work_off()


def test_bad_is_refused_to_automation_and_left_to_people(shop: Shop) -> None:
    good, bad = shop.version("1"), shop.version(web="2")
    shop.deliver(good)
    shop.sick.add(bad.artifacts["web"])
    shop.deliver(bad)
    later = shop.version("3", "2")  # another release with the artifact that failed
    by_automation = shop.request(later, actor=SHIPLINE, request="automation")
    assert refusals(shop, by_automation) == (f"{short(bad.artifacts['web'])} is marked bad",)
    shop.work_off()
    shop.sick.clear()
    assert shop.deliver(bad, request="a person insists").phase is Phase.SUCCEEDED


def test_a_hold_makes_automation_wait_and_goes_on_once_it_is_lifted(shop: Shop) -> None:
    shop.hold("dev", "the sale is on")
    asked = shop.request(shop.version(), actor=SHIPLINE)
    shop.work_off()
    waiting = shop.look(asked)
    assert (waiting.phase, waiting.because) == (Phase.WAITING, "dev is on hold: the sale is on")
    assert (waiting.flow_run, waiting.expires_at) == (None, None)
    shop.hold("dev", "", held=False)
    run_pass(shop.connections, asked.id)
    assert shop.look(asked).phase is Phase.SUCCEEDED


def test_a_hold_lets_people_through_and_the_way_back_of_what_failed(shop: Shop) -> None:
    good, bad = shop.version("1"), shop.version("2", "2")
    shop.deliver(good)
    shop.hold("dev", "the sale is on")
    shop.sick.add(bad.artifacts["web"])
    assert shop.deliver(bad).because.endswith("; rolled back")
    assert shop.serving("dev") == good.artifacts


def test_what_runs_is_not_overwritten_by_something_older_or_unrelated(shop: Shop) -> None:
    older, newer = shop.version("1"), shop.version("2")
    unrelated = shop.version("3", branch="other", parents=[])
    shop.deliver(newer)
    [no] = refusals(shop, shop.request(older))
    assert no == "api: what runs is newer; use rollback to go back"
    insist = f"shipline promote {unrelated.commit[:12]} --to dev --replace"
    assert refusals(shop, shop.request(unrelated)) == (
        f"api: what runs is of an unrelated line of history; replace it with: {insist}",
    )
    assert refusals(shop, shop.request(unrelated, request="replace", replace=True)) == ()


def test_what_has_diverged_is_told_apart_from_what_is_unrelated(shop: Shop) -> None:
    first = shop.version("1")
    shop.deliver(shop.version("2"))
    beside = shop.version("3", branch="other", parents=[first.commit])
    insist = f"shipline promote {beside.commit[:12]} --to dev --replace"
    assert refusals(shop, shop.request(beside)) == (
        f"api: what runs has diverged from it, neither contains the other; replace it with: {insist}",
    )


def test_a_revert_that_makes_an_older_release_again_is_newer(shop: Shop) -> None:
    first, second = shop.version("1"), shop.version("2")
    revert = shop.version("1", subject="Revert")
    assert revert.release == first.release
    shop.deliver(first)
    shop.deliver(second)
    back = shop.deliver(revert)
    assert (back.phase, back.kind) == (Phase.SUCCEEDED, Kind.CHANGE)
    assert back.changes[0].revision == revert.commit
    assert {row["service"]: row["revision"] for row in shop.rows("running", environment="dev")}["api"] == revert.commit
    # and what it reverts is older from here on
    assert refusals(shop, shop.request(second, request="again")) == (
        "api: what runs is newer; use rollback to go back",
    )


def test_two_revisions_that_make_one_release_are_one_promotion(shop: Shop) -> None:
    first = shop.version()
    documented = shop.version(subject="only docs")
    assert (documented.release, documented.commit != first.commit) == (first.release, True)
    done = shop.deliver(first)
    assert shop.request(documented).id == done.id
    assert len(shop.rows("releases")) == 1


def test_uncommitted_changes_stay_in_development(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    clean = shop.version("1")
    snapshot = shop.version("2", branch="snapshot", parents=[clean.commit], based_on=clean.commit)
    done = shop.deliver(snapshot)
    assert done.phase is Phase.SUCCEEDED
    assert shop.promotions(environment="staging") == []  # it does not even ask
    asked = shop.request(snapshot, "staging")
    assert refusals(shop, asked) == ("made from uncommitted changes, which may reach development environments only",)


def test_committing_what_was_tried_uncommitted_makes_it_clean(shop: Shop) -> None:
    base = shop.version("1")
    snapshot = shop.version("2", branch="snapshot", parents=[base.commit], based_on=base.commit)
    shop.deliver(snapshot)
    committed = shop.version("2")
    assert (committed.release, committed.commit != snapshot.commit) == (snapshot.release, True)

    asked = shop.request(committed, "staging")
    shop.work_off()
    assert shop.look(asked).because == "waiting for 1 approval"


def test_uncommitted_changes_stand_for_the_commit_below_them(shop: Shop) -> None:
    first = shop.version("1")
    second = shop.version("2")
    snapshot = shop.version("3", branch="snapshot", parents=[second.commit], based_on=second.commit)
    shop.deliver(snapshot)
    third = shop.version("4")
    assert refusals(shop, shop.request(third)) == ()  # git says that it is no descendant of the snapshot
    assert refusals(shop, shop.request(first)) == ("api: what runs is newer; use rollback to go back",)


def test_the_way_back_is_judged_by_what_was_verified_there(shop: Shop) -> None:
    first = shop.version("1")
    done = shop.deliver(first)
    shop.deliver(shop.version("2"))
    back = request_promotion(shop.connections, rollback_to(shop.connections, done, None, ADA, "back"))
    assert refusals(shop, back) == ()
    never = shop.request(shop.version("3"), kind=Kind.ROLLBACK)
    assert refusals(shop, never) == (f"release {short(never.release)} was never verified in dev",)


def test_one_service_goes_back_alone_and_stays_dirty_if_it_was(tmp_path: Path) -> None:
    shop = Shop(tmp_path, DEVELOPMENT)
    base = shop.version("0", "0")
    dirty = shop.version("1", "1", branch="snapshot", parents=[base.commit], based_on=base.commit)
    shop.deliver(dirty)
    shop.deliver(shop.version("2", "2"))
    target = dirty.release
    back = roll_back(shop.connections, PROJECT, "dev", ADA, to=target, service="api", request="back")
    shop.work_off()
    assert shop.look(back).phase is Phase.SUCCEEDED
    assert [one.service for one in shop.look(back).changes] == ["api"]
    assert shop.serving("dev")["api"] == dirty.artifacts["api"]
    [derived] = shop.rows("releases", digest=back.release)
    assert derived["dirty"] is True


def test_the_first_rollout_of_a_service_is_not_older_than_anything(shop: Shop) -> None:
    assert refusals(shop, shop.request(shop.version())) == ()


def test_judging_an_errored_answer_of_the_source_ends_errored_and_says_so(shop: Shop) -> None:
    shop.deliver(shop.version("1"))
    asked = shop.request(shop.version("2"))
    shop.installation.source.failures = 1
    run_pass(shop.connections, asked.id)
    assert (shop.look(asked).phase, shop.look(asked).because) == (
        Phase.ERRORED,
        "reading the source: it did not answer",
    )
