"""What a newer request does to older ones, by the environment's queue."""

from pathlib import Path

import pytest

from delivery.gates.queue import require_turn
from delivery.gates.verdict import Verdict
from delivery.promoting import passing
from delivery.promoting.judging import judge
from delivery.promoting.turn import take_turn
from delivery.promotion import Kind, Phase, Promotion
from tests.fakes.shop import CONFIGURATION, Shop, every_step, run_pass


def shop_with(folder: Path, queue: str, more: str = "") -> Shop:
    return Shop(folder, CONFIGURATION.replace("{tier: development, ", f"{{tier: development, queue: {queue}, {more}"))


HELD = "freeze: [{name: audit, from: 2026-11-22, until: 2026-11-22}], "


def phases(shop: Shop, *asked: Promotion) -> list[Phase]:
    return [shop.look(one).phase for one in asked]


def test_what_was_requested_first_goes_first_and_a_hotfix_overtakes() -> None:
    assert require_turn(["p-1"], Kind.CHANGE) == Verdict(
        "queue",
        ("promotion p-1 was requested first",),
        waiting=True,
        unblocked_by="what was requested first ends; a hotfix overtakes",
    )
    assert require_turn(["p-1", "p-2", "p-3"], Kind.CHANGE).reasons == ("promotion p-1 and 2 more was requested first",)
    for kind in (Kind.HOTFIX, Kind.ROLLBACK, Kind.REDEPLOY):
        assert require_turn(["p-1"], kind).passed
    assert require_turn([], Kind.CHANGE).passed


def test_serialized_releases_all_go_in_order_of_request(tmp_path: Path) -> None:
    shop = shop_with(tmp_path, "serialize", HELD)
    first, second, third = (shop.request(shop.version(text)) for text in ("1", "2", "3"))
    shop.work_off()
    assert phases(shop, first, second, third) == [Phase.WAITING] * 3
    assert judge(shop.connections, shop.look(first)).waits == ("frozen by 'audit' until 2026-11-23T00:00:00Z",)
    shop.installation.clock.advance(86_400)
    assert judge(shop.connections, shop.look(third)).waits == (f"promotion {first.id} and 1 more was requested first",)
    run_pass(shop.connections, third.id)
    assert phases(shop, third) == [Phase.WAITING], "it is not its turn"
    for one in (first, second, third):
        run_pass(shop.connections, one.id)
    assert phases(shop, first, second, third) == [Phase.SUCCEEDED] * 3
    assert [one["promotion"] for one in shop.rows("deployments", service="api", environment="dev")] == [
        one.id for one in (first, second, third)
    ]


def test_what_ends_in_any_way_lets_the_next_one_go(tmp_path: Path) -> None:
    shop = shop_with(tmp_path, "serialize")
    bad = shop.version(web="1")
    shop.sick.add(bad.artifacts["web"])
    first, second = shop.request(bad), shop.request(shop.version("2", "2"))
    shop.work_off()
    assert phases(shop, first, second) == [Phase.FAILED, Phase.SUCCEEDED]


def test_cancel_stops_what_is_being_judged_before_it_rolls_out(tmp_path: Path) -> None:
    shop = shop_with(tmp_path, "cancel")
    first = shop.request(shop.version("1"))
    turn = take_turn(shop.connections, first.id)
    assert turn is not None
    turn = passing.begin(turn)
    assert turn.promotion.phase is Phase.JUDGING
    second = shop.request(shop.version("2"))
    turn = every_step(turn, "flow-run")
    turn.leave()
    assert (turn.promotion.phase, turn.promotion.because) == (
        Phase.ABORTED,
        f"superseded by promotion {second.id}",
    )
    shop.work_off()
    assert phases(shop, second) == [Phase.SUCCEEDED]
    assert shop.rows("deployments", promotion=first.id) == []


@pytest.mark.parametrize("queue", ["newest", "serialize"])
def test_elsewhere_what_is_being_judged_goes_on(tmp_path: Path, queue: str) -> None:
    shop = shop_with(tmp_path, queue)
    first = shop.request(shop.version("1"))
    turn = take_turn(shop.connections, first.id)
    assert turn is not None
    turn = passing.begin(turn)
    second = shop.request(shop.version("2"))
    every_step(turn, "flow-run").leave()
    shop.work_off()
    assert phases(shop, first, second) == [Phase.SUCCEEDED] * 2


@pytest.mark.parametrize("queue", ["newest", "cancel"])
def test_what_waits_is_superseded_and_what_rolls_out_is_let_finish(tmp_path: Path, queue: str) -> None:
    shop = shop_with(tmp_path, queue)
    first, second = shop.version("1"), shop.version("2")
    asked = shop.request(first)
    shop.during_smoke = lambda: shop.request(second)
    shop.work_off()
    assert phases(shop, asked) == [Phase.SUCCEEDED]
    waiting = shop_with(tmp_path, queue, HELD)
    older, newer = (waiting.deliver(waiting.version(text)) for text in ("1", "2"))
    assert phases(waiting, older, newer) == [Phase.SUPERSEDED, Phase.WAITING]
