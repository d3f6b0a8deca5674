"""What waits for a person, what a person is shown, and which answers count."""

from collections.abc import Callable
from pathlib import Path

import pytest

from delivery.actor import SHIPLINE, Actor
from delivery.errors import StaleFenceError
from delivery.gates.verdict import short
from delivery.pace import LEASE
from delivery.promoting import approving, closing, passing
from delivery.promoting.approval_facts import approvals_for
from delivery.promoting.approving import Decision
from delivery.promoting.deciding import decide
from delivery.promoting.judging import Judgement, judge
from delivery.promoting.requesting import request_promotion, rollback_to
from delivery.promoting.stopping import abort, give_up, retry
from delivery.promoting.turn import take_turn
from delivery.promotion import Kind, Phase, Promotion
from tests.fakes.crashing import SimulatedCrashError
from tests.fakes.shop import ADA, BOB, CONFIGURATION, Shop, Version, run_pass

CAROL = Actor("person", "carol", "api-token")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def staged(shop: Shop, version: Version | None = None) -> Promotion:
    """A promotion that waits for a person in staging, verified in dev."""
    shop.deliver(version or shop.version())
    return shop.promotions(environment="staging")[-1]


def test_it_waits_with_a_form_and_says_for_what_and_until_when(shop: Shop) -> None:
    waiting = staged(shop)
    assert (waiting.phase, waiting.because, waiting.passes) == (Phase.WAITING, "waiting for 1 approval", 1)
    assert waiting.flow_run == "flow-run"
    assert waiting.expires_at is not None
    assert approving.seconds_left(waiting, shop.installation.clock.now()) in range(3590, 3601)
    assert approving.form_key(waiting) == f"{waiting.id}-1"
    assert approving.was_asked(waiting, "flow-run")
    assert not approving.was_asked(waiting, "another")


def test_every_showing_of_the_form_has_a_key_of_its_own_and_the_time_began_with_the_first(shop: Shop) -> None:
    first = staged(shop)
    run_pass(shop.connections, first.id, "flow-run 2")
    again = shop.look(first)
    assert (again.passes, again.flow_run, again.expires_at) == (2, "flow-run 2", first.expires_at)
    assert approving.form_key(again) != approving.form_key(first)


def test_an_approval_lets_it_go_on(shop: Shop) -> None:
    waiting = staged(shop)
    assert shop.decide(waiting).passed
    run_pass(shop.connections, waiting.id)
    assert shop.look(waiting).phase is Phase.SUCCEEDED
    [given] = shop.rows("approvals")
    assert (given["approver"], given["evidence"], given["candidate"]) == ("bob", "api-token", waiting.candidate)


def test_as_many_different_people_as_the_policy_says(tmp_path: Path) -> None:
    shop = Shop(tmp_path, CONFIGURATION.replace("count: 1", "count: 2"))
    waiting = staged(shop)
    assert shop.decide(waiting).passed
    assert shop.decide(waiting).reasons == (f"bob has approved promotion {waiting.id} already",)
    run_pass(shop.connections, waiting.id)
    assert shop.look(waiting).because == "waiting for 1 approval"
    assert shop.decide(waiting, person=CAROL).passed
    run_pass(shop.connections, waiting.id)
    assert shop.look(waiting).phase is Phase.SUCCEEDED


def test_an_approval_for_another_candidate_does_not_count(shop: Shop) -> None:
    first = staged(shop)
    assert shop.decide(first).passed
    second = staged(shop, shop.version("2"))
    assert second.candidate != first.candidate
    assert approvals_for(shop.connections, second) == []
    run_pass(shop.connections, second.id)
    assert shop.look(second).because == "waiting for 1 approval"


def test_nor_does_one_for_an_earlier_promotion_of_the_same_candidate(shop: Shop) -> None:
    version = shop.version()
    first = staged(shop, version)
    shop.decide(first)
    abort(shop.connections, shop.look(first), "not today", ADA)
    again = shop.request(version, "staging", request="again")
    assert again.candidate == first.candidate
    shop.work_off()
    assert shop.look(again).because == "waiting for 1 approval"


def test_a_rollback_stands_on_the_approval_of_its_candidate(shop: Shop) -> None:
    first = staged(shop)
    shop.decide(first)
    run_pass(shop.connections, first.id)
    second = staged(shop, shop.version("2"))
    shop.decide(second)
    run_pass(shop.connections, second.id)
    back = request_promotion(
        shop.connections, rollback_to(shop.connections, shop.look(first), shop.look(second), ADA, "back")
    )
    shop.work_off()
    assert (shop.look(back).phase, back.kind) == (Phase.SUCCEEDED, Kind.ROLLBACK)
    assert shop.serving("staging") == shop.serving("dev") | {"api": shop.look(first).changes[0].artifact}


def test_a_rejection_ends_it_refused_at_once(shop: Shop) -> None:
    waiting = staged(shop)
    assert shop.decide(waiting, "reject", comment="not before Monday").passed
    ended = shop.look(waiting)
    assert (ended.phase, ended.because) == (Phase.REFUSED, "rejected by bob: not before Monday")
    assert run_pass(shop.connections, waiting.id) is None
    assert shop.serving("staging") == {}


@pytest.mark.parametrize("answer", ["reject", "abort", "supersede"])
def test_a_pass_that_judges_at_this_moment_does_not_bring_back_what_a_person_ended(shop: Shop, answer: str) -> None:
    waiting = staged(shop)
    shop.decide(waiting)
    turn = take_turn(shop.connections, waiting.id)
    assert turn is not None
    judgement = judge(turn.connections, turn.promotion)
    ways: dict[str, Callable[[], object]] = {
        "reject": lambda: shop.decide(waiting, "reject", CAROL),
        "abort": lambda: abort(shop.connections, waiting, "stop", CAROL),
        "supersede": lambda: shop.request(shop.version("2"), "staging"),
    }
    ways[answer]()
    ended = shop.look(waiting)
    assert ended.phase.final

    turn = passing.follow(turn, judgement)
    assert passing.start_new_side(turn, lambda _line: None).promotion == ended
    assert shop.serving("staging") == {}


def test_a_rejection_between_judging_and_rollout_stops_the_pass(shop: Shop) -> None:
    waiting = staged(shop)
    shop.decide(waiting)
    turn = take_turn(shop.connections, waiting.id)
    assert turn is not None
    turn = passing.follow(turn, judge(turn.connections, turn.promotion))
    assert turn.promotion.phase is Phase.JUDGING
    shop.decide(waiting, "reject", CAROL)
    with pytest.raises(StaleFenceError, match="is Refused"):
        passing.start_new_side(turn, lambda _line: None)
    assert shop.look(waiting).phase is Phase.REFUSED


def test_expiry_ends_refused_and_a_late_approval_does_not_count(shop: Shop) -> None:
    waiting = staged(shop)
    shop.installation.clock.advance(3600)
    expired = "approval expired: 0 of 1 given in time"
    assert shop.decide(waiting).reasons == (expired,)
    run_pass(shop.connections, waiting.id)
    assert (shop.look(waiting).phase, shop.look(waiting).because) == (Phase.REFUSED, expired)


def test_a_newer_request_supersedes_what_waits(shop: Shop) -> None:
    first = staged(shop)
    second = staged(shop, shop.version("2"))
    ended = shop.look(first)
    assert (ended.phase, ended.because) == (Phase.SUPERSEDED, f"superseded by promotion {second.id}")
    assert second.phase is Phase.WAITING


def test_superseding_that_a_crash_prevented_is_done_by_the_next_pass(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = staged(shop)
    shop.request(shop.version("2"))

    def die(*_: object) -> None:
        raise SimulatedCrashError

    with monkeypatch.context() as patched:
        patched.setattr(closing, "supersede_older", die)
        with pytest.raises(SimulatedCrashError):
            shop.work_off()
    shop.installation.clock.advance(LEASE.total_seconds())
    [_, newer] = shop.promotions(environment="staging")
    assert (shop.look(first).phase, newer.phase) == (Phase.WAITING, Phase.REQUESTED)
    shop.work_off()
    assert (shop.look(first).phase, shop.look(newer).phase) == (Phase.SUPERSEDED, Phase.WAITING)


def test_an_older_or_unrelated_request_supersedes_nothing(shop: Shop) -> None:
    older, newer = shop.version("1"), shop.version("2")
    waiting = staged(shop, newer)
    shop.request(older, "staging")
    shop.request(shop.version("3", branch="other", parents=[]), "staging")
    assert shop.look(waiting).phase is Phase.WAITING


def test_what_is_rolling_out_is_not_superseded(shop: Shop) -> None:
    first, second = shop.version("1"), shop.version("2")
    asked = shop.request(first)
    shop.during_smoke = lambda: shop.request(second)
    shop.work_off()
    assert shop.look(asked).phase is Phase.SUCCEEDED
    assert shop.serving("dev") == second.artifacts


def test_a_changed_policy_voids_what_waits(shop: Shop) -> None:
    waiting = staged(shop)
    stricter = CONFIGURATION.replace("count: 1", "count: 2")
    shop.version("9", configuration=stricter)
    voided = "the policy of staging is now version 2; it was requested under version 1, request it again"
    assert not judge(shop.connections, waiting).asks_a_person
    assert shop.decide(waiting).reasons == (voided,)
    run_pass(shop.connections, waiting.id)
    assert (shop.look(waiting).phase, shop.look(waiting).because) == (Phase.REFUSED, voided)


def test_nobody_is_asked_about_what_is_refused_anyway(shop: Shop) -> None:
    asked = shop.request(shop.version(), "staging")
    shop.work_off()
    ended = shop.look(asked)
    assert (ended.phase, ended.because) == (
        Phase.REFUSED,
        f"release {short(asked.release)} is not verified in dev",
    )


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda shop, one: shop.decide(one, "reject"), "promotion {id} has ended: Refused, rejected by bob"),
        (
            lambda shop, one: abort(shop.connections, one, "no", ADA),
            "promotion {id} has ended: Aborted, aborted by ada: no",
        ),
        (lambda shop, _one: shop.deliver(shop.version("2")), "promotion {id} has ended: Superseded, superseded by"),
        (lambda shop, one: give_up(shop.connections, one, "lost"), "promotion {id} has ended: Errored, lost"),
        (
            lambda shop, one: (shop.decide(one), run_pass(shop.connections, one.id)),
            "promotion {id} has ended: Succeeded,",
        ),
    ],
    ids=["rejected", "aborted", "superseded", "errored", "succeeded"],
)
def test_a_decision_about_what_has_ended_is_refused_with_the_reason(
    shop: Shop, prepare: Callable[[Shop, Promotion], object], sentence: str
) -> None:
    waiting = staged(shop)
    prepare(shop, waiting)
    entries = shop.length
    [reason] = shop.decide(waiting, person=CAROL).reasons
    assert reason.startswith(sentence.format(id=waiting.id))
    assert shop.length == entries


def test_a_decision_about_what_rolls_out_is_refused(shop: Shop) -> None:
    said: list[str] = []
    asked = shop.request(shop.version())
    shop.during_smoke = lambda: said.extend(shop.decide(asked).reasons)
    shop.work_off()
    assert said == [f"promotion {asked.id} has begun to roll out: Verifying, all traffic is on the new side"]


def test_a_decision_that_comes_while_it_begins_to_roll_out_is_refused_under_the_lock(shop: Shop) -> None:
    waiting = staged(shop)
    shop.decide(waiting)
    run_pass(shop.connections, waiting.id)
    stale_view = waiting  # what the API had read before
    refused = decide(shop.connections, stale_view, Decision("reject", CAROL))
    assert refused.reasons == (f"promotion {waiting.id} has ended: Succeeded, live, verified and watched",)


def test_what_needs_no_approval_takes_none(shop: Shop) -> None:
    asked = shop.request(shop.version())
    assert shop.decide(asked).reasons == (f"promotion {asked.id} needs no approval",)


def test_the_page_shows_digests_commits_configuration_and_who_asked(shop: Shop) -> None:
    first = staged(shop)
    shop.decide(first)
    run_pass(shop.connections, first.id)
    added = CONFIGURATION.replace("web: {port: 8202}", "web: {port: 8202, environment: {LIMIT: '9'}}")
    version = shop.version(web="2", configuration=added, subject="a faster front page")
    waiting = staged(shop, version)

    page = approving.approval_page(shop.connections, waiting)

    old_web = first.release and shop.look(first).changes[1].artifact
    assert page == "\n\n".join(
        [
            "## Promote shop 1.1.2 to staging",
            f"Release `{version.release}`, candidate `{waiting.candidate}`.",
            f"Requested by shipline at {waiting.requested_at:%Y-%m-%dT%H:%M:%S.%fZ}.",
            f"### web\n`{short(old_web)}` becomes `{version.artifacts['web']}`",
            f"- {version.commit[:10]} a faster front page (Ada Lovelace)",
            "### Configuration",
            "- web: LIMIT (none) -> 9",
            f"Expires at {waiting.expires_at:%Y-%m-%dT%H:%M:%S.%fZ}. An approval is for this candidate only.",
        ]
    )


def test_the_page_of_a_first_promotion_replaces_nothing(shop: Shop) -> None:
    page = approving.approval_page(shop.connections, staged(shop))
    assert "### api\nnothing becomes `sha256:" in page
    assert "No new commits." in page
    assert "Configuration is unchanged." in page


def test_the_page_names_services_that_go(shop: Shop) -> None:
    first = staged(shop)
    shop.decide(first)
    run_pass(shop.connections, first.id)
    one_service = "\n".join(line for line in CONFIGURATION.splitlines() if not line.startswith("  api:"))
    for port in (8101, 8201, 8301):
        one_service = one_service.replace(f"api: {{port: {port}}}, ", "")
    waiting = staged(shop, shop.version(web="2", configuration=one_service))
    page = approving.approval_page(shop.connections, waiting)
    assert "### api\nis no longer part of the release and stops" in page
    assert "- api: removed" in page


def test_an_abort_before_the_rollout_ends_it_and_one_after_is_refused(shop: Shop) -> None:
    waiting = staged(shop)
    assert abort(shop.connections, waiting, "wrong week", ADA).passed
    assert shop.look(waiting).because == "aborted by ada: wrong week"
    [ended] = abort(shop.connections, shop.look(waiting), "again", ADA).reasons
    assert ended == f"promotion {waiting.id} has ended: Aborted"

    asked = shop.request(shop.version("2"))
    said: list[str] = []
    shop.during_smoke = lambda: said.extend(abort(shop.connections, shop.look(asked), "now", ADA).reasons)
    shop.work_off()
    begun = f"promotion {asked.id} is Verifying and cannot be aborted; shipline rollback goes back once it has ended"
    assert said == [begun]


def test_an_abort_while_it_judges_is_heeded_before_the_rollout(shop: Shop) -> None:
    asked = shop.request(shop.version())
    turn = take_turn(shop.connections, asked.id)
    assert turn is not None
    turn = passing.begin(turn)
    assert abort(shop.connections, asked, "stop", ADA).passed
    assert passing.follow(turn, Judgement(())).promotion.phase is Phase.ABORTED
    assert shop.serving("dev") == {}


def test_an_abort_of_a_pass_that_died_while_judging_is_heeded_by_the_next(shop: Shop) -> None:
    asked = shop.request(shop.version())
    assert shop.crash_after(1)
    assert shop.look(asked).phase is Phase.JUDGING
    abort(shop.connections, asked, "stop", ADA)
    shop.work_off()
    assert shop.look(asked).phase is Phase.ABORTED


def test_an_errored_promotion_is_retried_from_where_it_stood(shop: Shop) -> None:
    asked = shop.request(shop.version())
    assert shop.crash_after(5)  # applied, not shifted
    give_up(shop.connections, shop.look(asked), "nobody knows")
    assert retry(shop.connections, shop.look(asked), ADA).passed
    assert (shop.look(asked).phase, shop.look(asked).because) == (Phase.ROLLING_OUT, "retried by ada")
    shop.work_off()
    assert shop.look(asked).phase is Phase.SUCCEEDED
    assert max(shop.starts.values()) == 1


def test_one_that_had_not_begun_is_judged_again(shop: Shop) -> None:
    asked = shop.request(shop.version())
    give_up(shop.connections, asked, "nobody knows")
    assert retry(shop.connections, shop.look(asked), ADA).passed
    assert shop.look(asked).phase is Phase.REQUESTED


def test_a_retry_is_refused_when_it_is_not_errored_in_use_or_overtaken(shop: Shop) -> None:
    version = shop.version()
    asked = shop.request(version)
    sentence = f"promotion {asked.id} is Requested; only an Errored one can be retried"
    assert retry(shop.connections, asked, ADA).reasons == (sentence,)
    assert shop.crash_after(5)
    give_up(shop.connections, shop.look(asked), "nobody knows")

    lease = shop.connections.operations.acquire(asked.lane, "somebody", LEASE)
    assert lease is not None
    in_use = "another promotion is being worked on in dev; wait for it"
    assert retry(shop.connections, shop.look(asked), ADA).reasons == (in_use,)
    shop.connections.operations.release(lease)

    newer = shop.deliver(shop.version("2"))
    overtaken = f"promotion {newer.id} was rolled out since; request the release again"
    assert retry(shop.connections, shop.look(asked), ADA).reasons == (overtaken,)
    assert shop.look(asked).phase is Phase.ERRORED


def test_an_errored_rollback_is_a_failure_that_can_still_be_mended(shop: Shop) -> None:
    good, bad = shop.version("1"), shop.version("2", "2")
    shop.deliver(good)
    shop.sick.add(bad.artifacts["web"])
    asked = shop.request(bad)
    run_pass(shop.connections, asked.id)
    [rollback] = shop.promotions(environment="dev", kind="rollback")
    give_up(shop.connections, rollback, "nobody knows")
    shop.work_off()
    assert shop.look(asked).because.endswith("; its rollback ended Errored")
    assert retry(shop.connections, shop.look(rollback), BOB).passed
    shop.work_off()
    assert shop.look(rollback).phase is Phase.SUCCEEDED
    assert shop.serving("dev") == good.artifacts


def test_a_promotion_errored_while_rolling_back_is_not_rolled_out_again_by_a_retry(shop: Shop) -> None:
    good, bad = shop.version("1"), shop.version("2", "2")
    shop.deliver(good)
    shop.sick.add(bad.artifacts["web"])
    asked = shop.request(bad)
    run_pass(shop.connections, asked.id)
    give_up(shop.connections, shop.look(asked), "nobody knows")
    assert retry(shop.connections, shop.look(asked), BOB).passed
    assert shop.look(asked).phase is Phase.ROLLING_BACK
    shop.work_off()
    assert shop.look(asked).phase is Phase.FAILED
    assert shop.serving("dev") == good.artifacts


def test_automation_is_named_as_who_asked_downstream(shop: Shop) -> None:
    assert staged(shop).requested_by == SHIPLINE
