"""A promotion from its request to its end, and everything that the ledger then tells, in order."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from delivery.actor import SHIPLINE
from delivery.errors import ConfigurationError, StaleFenceError
from delivery.pace import LEASE
from delivery.promoting import passing, rolling_out, verifying
from delivery.promoting.accepting import policies_in_force
from delivery.promoting.judging import Judgement
from delivery.promoting.turn import take_turn
from delivery.promotion import Kind, Phase
from delivery.rollout import Target
from shipline.control.environment_documents import environment_document
from tests.fakes.shop import ALONE, PROJECT, Shop, run_pass

ROLLOUT = [
    "promotion.moved",  # Judging
    "promotion.moved",  # RollingOut
    "deployment.started",
    "deployment.started",
    "effect.intended",  # apply
    "effect.observed",
    "effect.intended",  # shift
    "effect.observed",
    "deployment.exposed",
    "deployment.live",
    "deployment.commits",
    "deployment.exposed",
    "deployment.live",
    "deployment.commits",
]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def kinds(shop: Shop, after: int) -> list[str]:
    return [one.kind for one in shop.facts(after)]


def phases(shop: Shop, promotion: str) -> list[str]:
    return [
        str(one.body["phase"])
        for one in shop.facts()
        if one.kind == "promotion.moved" and one.body["id"] == promotion and "phase" in one.body
    ]


def test_a_release_goes_live_and_the_ledger_tells_every_step(shop: Shop) -> None:
    version = shop.version()
    before = shop.length

    ended = shop.deliver(version)

    assert ended.phase is Phase.SUCCEEDED
    assert ended.because == "live, verified and watched"
    assert kinds(shop, before)[:-2] == [
        "promotion.requested",
        *ROLLOUT,
        "promotion.moved",  # Verifying
        "effect.intended",  # retire
        "effect.observed",
        "release.verified",
        "deployment.finished",
        "deployment.finished",
        "promotion.moved",  # Succeeded
        "promotion.requested",  # staging, in the same append
    ]
    assert phases(shop, ended.id) == ["Judging", "RollingOut", "Verifying", "Succeeded"]
    assert shop.serving("dev") == version.artifacts
    shop.check_ledger()


def test_each_effect_is_intended_then_observed_with_what_was_seen(shop: Shop) -> None:
    ended = shop.deliver(shop.version())

    effects = [one for one in shop.facts() if one.kind.startswith("effect.") and one.body["promotion"] == ended.id]
    assert [(one.kind, one.body["action"]) for one in effects] == [
        ("effect.intended", "apply"),
        ("effect.observed", "apply"),
        ("effect.intended", "shift"),
        ("effect.observed", "shift"),
        ("effect.intended", "retire"),
        ("effect.observed", "retire"),
    ]
    assert {one.body["fence"] for one in effects} == {1}
    assert effects[3].body["observed"] == {
        "generation": 2,
        "weights": {name: {digest: 100} for name, digest in shop.serving("dev").items()},
    }


def test_what_is_verified_is_requested_downstream_in_the_same_append(shop: Shop) -> None:
    version = shop.version()
    upstream = shop.deliver(version)

    [waiting] = shop.promotions(environment="staging")
    assert (waiting.release, waiting.requested_by, waiting.kind) == (version.release, SHIPLINE, Kind.CHANGE)
    assert waiting.phase is Phase.WAITING
    assert waiting.because == "waiting for 1 approval"
    assert waiting.sequence == next(
        one.sequence + 1
        for one in shop.facts()
        if one.body.get("phase") == "Succeeded" and one.body["id"] == upstream.id
    )
    assert shop.promotions(environment="production") == []


def test_what_is_not_automatic_or_not_described_downstream_is_not_requested(shop: Shop) -> None:
    shop.version()
    without_staging = ALONE.replace("production:", "dev:").replace("tier: production", "tier: development")
    version = shop.version("2", configuration=without_staging)

    assert shop.deliver(version).phase is Phase.SUCCEEDED
    assert shop.promotions(environment="staging") == []


def test_only_changed_services_are_deployed_and_the_others_left_alone(shop: Shop) -> None:
    first = shop.deliver(shop.version())
    second = shop.deliver(shop.version(web="2"))

    assert [one.service for one in second.changes] == ["web"]
    assert second.changes[0].previous == f"{first.id}/web"
    assert second.previous_release == first.release
    assert {one["service"] for one in shop.rows("deployments", promotion=second.id)} == {"web"}
    assert shop.starts.total() == 3


def test_a_service_that_a_release_no_longer_has_is_gone(tmp_path: Path) -> None:
    shop = Shop(tmp_path, ALONE)
    shop.deliver(shop.version(), "production")
    one_service = "\n".join(line for line in ALONE.splitlines() if not line.startswith("  api:"))
    version = shop.version(configuration=one_service.replace("api: {port: 8301}, ", ""))

    ended = shop.deliver(version, "production")

    assert (ended.phase, ended.gone) == (Phase.SUCCEEDED, ("api",))
    assert [row["service"] for row in shop.rows("running", gone_at=None)] == ["web"]
    assert shop.serving("production").keys() == {"web"}


def test_the_same_request_twice_is_one_promotion(shop: Shop) -> None:
    version = shop.version()
    first = shop.request(version, request="r")
    assert shop.request(version, request="r").id == first.id
    assert shop.request(version, request="another").id == first.id  # the very same candidate is on its way
    shop.work_off()
    assert shop.request(version, request="later").id == first.id  # and it is what runs
    assert len(shop.promotions(environment="dev")) == 1


def test_going_back_to_an_older_candidate_is_a_new_promotion(shop: Shop) -> None:
    first, second = shop.version("1"), shop.version("2")
    old = shop.deliver(first)
    shop.deliver(second)
    again = shop.deliver(first, request="again", replace=True)
    assert (again.id != old.id, again.phase) == (True, Phase.SUCCEEDED)
    assert shop.serving("dev") == first.artifacts


def test_an_environment_without_a_policy_is_not_known(shop: Shop) -> None:
    version = shop.version()
    with pytest.raises(ConfigurationError, match="no environment 'moon'") as raised:
        shop.request(version, "moon")
    assert raised.value.hint == "environments with an accepted policy: dev, staging, production"


def test_a_failed_smoke_suite_rolls_back_by_itself(shop: Shop) -> None:
    good, bad = shop.version("1"), shop.version("2", "2")
    first = shop.deliver(good)
    shop.sick.add(bad.artifacts["web"])
    before = shop.length

    failed = shop.deliver(bad)

    [_, undone, rollback] = shop.promotions(environment="dev")
    assert failed.because == "smoke suite: front page: expected status 200, got 500; rolled back"
    assert (undone.phase, undone.rolled_back_by) == (Phase.FAILED, rollback.id)
    assert (rollback.kind, rollback.phase, rollback.candidate) == (Kind.ROLLBACK, Phase.SUCCEEDED, first.candidate)
    assert (rollback.rollback_of, rollback.requested_by) == (failed.id, SHIPLINE)
    assert shop.serving("dev") == good.artifacts
    assert kinds(shop, before) == [
        "promotion.requested",
        *ROLLOUT,
        "promotion.moved",  # Verifying
        "release.marked_bad",
        "incident.opened",
        "deployment.finished",
        "deployment.finished",
        "promotion.requested",  # the way back
        "promotion.moved",  # RollingBack
        *ROLLOUT,
        "incident.mitigated",
        "deployment.restored",
        "deployment.restored",
        "promotion.moved",  # Verifying
        "effect.intended",  # retire
        "effect.observed",
        "release.verified",
        "deployment.finished",
        "deployment.finished",
        "incident.resolved",
        "promotion.moved",  # the rollback succeeded
        "promotion.moved",  # what it undid failed
    ]
    assert phases(shop, failed.id) == ["Judging", "RollingOut", "Verifying", "RollingBack", "Failed"]
    assert len(shop.promotions(environment="staging")) == 1  # nothing goes on downstream
    shop.check_ledger()


def test_only_what_a_failed_promotion_changed_is_bad(shop: Shop) -> None:
    good, bad = shop.version("1"), shop.version(web="2")
    shop.deliver(good)
    shop.sick.add(bad.artifacts["web"])
    failed = shop.deliver(bad)
    assert {row["digest"] for row in shop.rows("bad")} == {failed.release, bad.artifacts["web"]}
    assert good.artifacts["api"] == bad.artifacts["api"]


def test_a_release_that_falls_ill_in_its_watch_window_is_rolled_back(shop: Shop) -> None:
    good, bad = shop.version("1"), shop.version("2")
    shop.deliver(good)
    asked = shop.request(bad)

    def fall_ill() -> None:
        if shop.look(asked).phase is Phase.VERIFYING:
            shop.installation.world.ailments[bad.artifacts["api"]] = "exited with 1"

    shop.during_smoke = fall_ill
    shop.work_off()

    assert shop.look(asked).because == "watch: api is down: exited with 1; rolled back"
    assert shop.serving("dev") == good.artifacts


def test_the_watch_window_says_when_it_ends(tmp_path: Path) -> None:
    shop = Shop(tmp_path, ALONE.replace("watch_seconds: 0", "watch_seconds: 90"))
    turn = take_turn(shop.connections, shop.request(shop.version(), "production").id)
    assert turn is not None
    said: list[str] = []
    next(verifying.watch(turn, said.append))
    ends = shop.connections.clock.now() + timedelta(seconds=90)
    assert said == [f"watching until {ends:%H:%M:%SZ} (90 s)"]


def test_a_service_that_ended_between_two_looks_of_the_watch_is_rolled_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path, ALONE.replace("watch_seconds: 0", "watch_seconds: 9"))
    good, bad = shop.version("1"), shop.version("2")
    restarts = shop.installation.world.restarts
    restarts[good.artifacts["web"]] = 2  # what was before the watch does not count

    def pause(_seconds: float) -> None:
        shop.installation.clock.advance(5)
        restarts[bad.artifacts["api"]] = restarts.get(bad.artifacts["api"], 0) + 1

    monkeypatch.setattr(verifying, "time", SimpleNamespace(sleep=pause))
    assert shop.deliver(good, "production").phase is Phase.SUCCEEDED
    failed = shop.deliver(bad, "production")
    assert failed.because == "watch: api has ended by itself and was started again; rolled back"


def test_a_side_that_never_gets_well_is_taken_away_before_any_user_sees_it(shop: Shop) -> None:
    good, bad = shop.version("1"), shop.version("2")
    shop.deliver(good)
    shop.installation.world.ailments[bad.artifacts["api"]] = "exited with 1"

    failed = shop.deliver(bad)

    assert failed.phase is Phase.FAILED
    assert failed.because == "rolling out to dev: 1 of 2 instances are healthy; api is down: exited with 1"
    assert failed.exposed_at is None
    assert shop.serving("dev") == good.artifacts
    assert {one.artifact for one in shop.observed("dev").instances} == {*good.artifacts.values()}
    assert shop.rows("bad") == shop.rows("incidents") == []
    assert [(row["result"], row.get("exposed_at")) for row in shop.rows("deployments", promotion=failed.id)] == [
        ("failed", None)
    ]


def test_a_failed_migration_is_a_failure_before_exposure(tmp_path: Path) -> None:
    migrating = ALONE.replace("run: {command: ./api}", "run: {command: ./api, before_rollout: {command: ./migrate}}")
    shop = Shop(tmp_path, migrating)
    version = shop.version()
    shop.installation.world.refusals[version.artifacts["api"]] = "relation exists"
    failed = shop.deliver(version, "production")
    assert (failed.phase, failed.because) == (Phase.FAILED, "running before_rollout of api: relation exists")
    assert shop.serving("production") == {}


def test_without_a_good_release_a_failure_ends_failed_and_says_so(shop: Shop) -> None:
    version = shop.version()
    shop.sick.add(version.artifacts["web"])
    failed = shop.deliver(version)
    assert failed.phase is Phase.FAILED
    assert failed.because.endswith("got 500; there is no good release to go back to")
    assert [row["state"] for row in shop.rows("incidents")] == ["open"]


def test_a_rollback_that_fails_too_goes_back_further_and_both_end_failed(shop: Shop) -> None:
    first, second, third = (shop.version(number, number) for number in "123")
    shop.deliver(first)
    shop.deliver(second)
    queued = shop.version("4", "4")
    shop.sick |= {second.artifacts["web"], third.artifacts["web"]}
    asked = shop.request(third)
    shop.during_smoke = lambda: shop.request(queued)  # once the third has begun
    shop.work_off()

    ends = [(one.kind.value, one.phase.value, one.release) for one in shop.promotions(environment="dev")[2:]]
    assert ends == [
        ("change", "Failed", third.release),
        ("change", "Succeeded", queued.release),
        ("rollback", "Failed", second.release),
        ("rollback", "Succeeded", first.release),
    ]
    assert shop.look(asked).because.endswith("; its rollback ended Failed")
    live = [one for one in shop.promotions(environment="dev") if one.live_at]
    order = [one.release for one in sorted(live, key=lambda one: str(one.live_at))]
    assert order == [first.release, second.release, third.release, second.release, first.release, queued.release]
    shop.check_ledger()


def test_a_configuration_that_fails_does_not_condemn_the_release(shop: Shop) -> None:
    version = shop.version()
    good = shop.deliver(version)
    port = shop.configuration.replace("web: {port: 8102}", "web: {port: 8102, environment: {LIMIT: '0'}}")
    commit = shop.version(configuration=port)
    assert commit.release == version.release
    asked = shop.request(commit)

    def sicken() -> None:
        shop.sick.clear()
        if shop.look(asked).phase is Phase.VERIFYING:
            shop.sick.add(version.artifacts["web"])

    shop.during_smoke = sicken
    shop.work_off()

    assert shop.look(asked).because.endswith("; rolled back")
    assert shop.promotions(environment="dev")[-1].candidate == good.candidate
    assert {row["digest"] for row in shop.rows("bad")} == {asked.candidate}
    assert [row["revoked_at"] for row in shop.rows("verified", environment="dev")] == [None]


def test_a_rollout_that_had_traffic_when_its_pass_died_is_rolled_back_not_taken_away(shop: Shop) -> None:
    good, bad = shop.version("1"), shop.version("2")
    shop.deliver(good)
    asked = shop.request(bad)
    assert shop.crash_after(8)  # traffic is shifted, and nobody has told so
    assert shop.serving("dev") == bad.artifacts
    shop.installation.world.ailments[bad.artifacts["api"]] = "exited with 1"

    shop.work_off()

    assert shop.look(asked).phase is Phase.FAILED
    assert shop.serving("dev") == good.artifacts
    assert [row["caused_by"] for row in shop.rows("incidents")] == [asked.id]


def test_a_pass_that_lost_its_lease_changes_nothing(shop: Shop) -> None:
    version = shop.version()
    asked = shop.request(version)
    stale = take_turn(shop.connections, asked.id)
    assert stale is not None
    stale = passing.follow(passing.begin(stale), Judgement(()))
    stale = passing.start_new_side(stale, lambda _line: None)
    shop.installation.clock.advance(LEASE.total_seconds())  # stopped, and nobody renews

    assert run_pass(shop.connections, asked.id) is not None
    assert shop.look(asked).phase is Phase.SUCCEEDED
    entries, world = shop.length, shop.installation.world.desired.copy()

    with pytest.raises(StaleFenceError):
        passing.shift_traffic(stale)
    assert stale.handle is not None
    for act in (
        lambda: shop.connections.deployer.shift(stale.handle, 0, stale.fence),
        lambda: shop.connections.deployer.retire(stale.handle, stale.fence),
        lambda: rolling_out.apply(stale, lambda _line: None),
    ):
        with pytest.raises(StaleFenceError):
            act()
    assert (shop.length, shop.installation.world.desired) == (entries, world)


def test_the_lane_is_another_ones_while_a_promotion_is_under_way(shop: Shop) -> None:
    first = shop.deliver(shop.version("1"))
    [waiting] = shop.promotions(environment="staging")
    other = shop.request(shop.version("9", branch="other", parents=[]), "staging", replace=True)
    turn = take_turn(shop.connections, other.id)
    assert turn is not None
    passing.begin(turn)  # it dies while Judging
    turn.leave()
    assert shop.decide(waiting).passed
    assert take_turn(shop.connections, waiting.id) is None
    assert first.phase is Phase.SUCCEEDED


def test_a_failed_promotion_is_not_worked_on_while_its_rollback_is_not_done(shop: Shop) -> None:
    good, bad = shop.version("1"), shop.version("2")
    shop.deliver(good)
    shop.sick.add(bad.artifacts["web"])
    bad_web = shop.version("3", "3")
    shop.sick.add(bad_web.artifacts["web"])
    asked = shop.request(bad_web)
    run_pass(shop.connections, asked.id)
    assert shop.look(asked).phase is Phase.ROLLING_BACK

    assert run_pass(shop.connections, asked.id) is None  # a flow run that comes late
    assert shop.look(asked).phase is Phase.ROLLING_BACK


def addresses(shop: Shop) -> dict[str, int]:
    return {name: int(url.rpartition(":")[2]) for name, url in shop.observed("production").addresses.items()}


def drift(shop: Shop) -> object:
    [policy] = [one for one in policies_in_force(shop.connections, PROJECT) if one.environment == "production"]
    return environment_document(shop.connections, PROJECT, policy)["drift"]


def test_a_failed_rollout_changes_no_address(tmp_path: Path) -> None:
    shop = Shop(tmp_path, ALONE)
    shop.deliver(shop.version("1"), "production")
    bad = shop.version("2", configuration=ALONE.replace("8301", "9301"))
    shop.installation.world.ailments[bad.artifacts["api"]] = "it ends again and again"
    assert shop.deliver(bad, "production").phase is Phase.FAILED
    assert (addresses(shop), drift(shop)) == ({"api": 8301, "web": 8302}, [])

    good = shop.version("3", configuration=ALONE.replace("8301", "9301"))
    assert shop.deliver(good, "production").phase is Phase.SUCCEEDED
    assert (addresses(shop), drift(shop)) == ({"api": 9301, "web": 8302}, [])


def test_a_failure_after_the_shift_goes_back_to_the_old_address(tmp_path: Path) -> None:
    shop = Shop(tmp_path, ALONE)
    shop.deliver(shop.version("1"), "production")
    bad = shop.version("2", configuration=ALONE.replace("8302", "9302"))
    seen: list[dict[str, int]] = []
    shop.during_smoke = lambda: seen.append(addresses(shop))
    shop.sick.add(bad.artifacts["api"])
    assert shop.deliver(bad, "production").because.endswith("rolled back")
    assert seen == [{"api": 8301, "web": 9302}, {"api": 8301, "web": 8302}]
    assert addresses(shop) == {"api": 8301, "web": 8302}


def test_an_address_that_is_not_the_configured_one_is_drift_and_asking_again_mends_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path, ALONE)
    version = shop.version()
    first = shop.deliver(version, "production")
    world, target = shop.installation.world, Target(PROJECT, "production")
    world.desired[target] = world.desired[target].model_copy(update={"ports": {"api": 9301, "web": 8302}})
    assert drift(shop) == ["api: answers on port 9301, its configuration says 8301"]

    again = shop.deliver(version, "production", request="again")
    assert (again.id != first.id, again.phase) == (True, Phase.SUCCEEDED)
    assert (addresses(shop), drift(shop)) == ({"api": 8301, "web": 8302}, [])
    assert shop.request(version, "production", request="once more").id == again.id
    assert shop.starts.total() == 2
