"""A process that dies right after any append or effect: whoever takes the promotion up ends where it would have ended.

Each story is told once without a crash and then once for every moment at which its process can die.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from delivery.promotion import Phase
from tests.fakes.shop import ALONE, Shop

Story = Callable[[Shop], None]


def goes_live(shop: Shop) -> None:
    shop.request(shop.version())


def changes_one_service(shop: Shop) -> None:
    shop.deliver(shop.version())
    shop.request(shop.version(web="2"))


def fails_its_smoke_suite(shop: Shop) -> None:
    shop.deliver(shop.version())
    bad = shop.version("2", "2")
    shop.sick.add(bad.artifacts["web"])
    shop.request(bad)


def fails_its_smoke_suite_and_so_does_its_rollback(shop: Shop) -> None:
    first, second, third = (shop.version(number, number) for number in "123")
    del first
    shop.deliver(shop.version("1", "1"))
    shop.deliver(second)
    shop.sick |= {second.artifacts["web"], third.artifacts["web"]}
    shop.request(third)


def falls_ill_while_watched(shop: Shop) -> None:
    shop.deliver(shop.version())
    bad = shop.version("2", "2")
    asked = shop.request(bad)

    def fall_ill() -> None:
        if shop.look(asked).phase is Phase.VERIFYING:
            shop.installation.world.ailments[bad.artifacts["api"]] = "exited with 1"

    shop.during_smoke = fall_ill


def never_gets_well(shop: Shop) -> None:
    shop.deliver(shop.version())
    bad = shop.version("2", "2")
    shop.installation.world.ailments[bad.artifacts["api"]] = "exited with 1"
    shop.request(bad)


def has_no_way_back(shop: Shop) -> None:
    bad = shop.version()
    shop.sick.add(bad.artifacts["web"])
    shop.request(bad)


def is_refused(shop: Shop) -> None:
    older, newer = shop.version(), shop.version("2")
    shop.deliver(newer)
    shop.request(older)


STORIES: list[Story] = [
    goes_live,
    changes_one_service,
    fails_its_smoke_suite,
    fails_its_smoke_suite_and_so_does_its_rollback,
    falls_ill_while_watched,
    never_gets_well,
    has_no_way_back,
    is_refused,
]


def told(folder: Path, story: Story, crash_after: int = 0) -> tuple[Shop, bool]:
    """A shop in which a story has ended, and whether its process died on the way."""
    configuration = ALONE.replace("production:", "dev:").replace("tier: production", "tier: development")
    shop = Shop(folder, configuration)
    story(shop)
    crashed = shop.crash_after(crash_after) if crash_after else False
    shop.work_off()
    return shop, crashed


def outcome(shop: Shop) -> dict[str, object]:
    """Everything that must not depend on a crash: no ids, no times, no fences."""
    names = {one.id: f"promotion {number}" for number, one in enumerate(shop.promotions())}
    return {
        "promotions": [
            (one.kind, one.phase, one.because, one.release, names.get(one.rolled_back_by or ""))
            for one in shop.promotions()
        ],
        "facts": [one.kind for one in shop.facts() if not one.kind.startswith("effect.")],
        "effects": sorted(
            (names[row["promotion"]], row["action"], bool(row.get("observed_at"))) for row in shop.rows("effects")
        ),
        "deployments": [
            (
                names[row["promotion"]],
                row["service"],
                row.get("result"),
                *(bool(row.get(f"{moment}_at")) for moment in TIMES),
            )
            for row in sorted(shop.rows("deployments"), key=lambda row: (names[row["promotion"]], row["service"]))
        ],
        "incidents": [(names[row["caused_by"]], row["state"]) for row in shop.rows("incidents")],
        "bad": sorted(row["digest"] for row in shop.rows("bad")),
        "verified": sorted((row["release"], bool(row["revoked_at"])) for row in shop.rows("verified")),
        "running": sorted((row["service"], row["artifact"], names[row["promotion"]]) for row in shop.rows("running")),
        "serving": shop.serving("dev"),
        "instances": sorted(one.artifact for one in shop.observed("dev").instances),
        "lanes": shop.lanes(),
    }


TIMES = ("started", "exposed", "live", "restored", "finished")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_promotion_survives_the_death_of_its_process_at_every_moment(tmp_path: Path, story: Story) -> None:
    undisturbed, _ = told(tmp_path, story)
    expected = outcome(undisturbed)
    assert all(one.phase.final for one in undisturbed.promotions())

    moment, crashed = 1, True
    while crashed:
        shop, crashed = told(tmp_path, story, moment)
        assert outcome(shop) == expected, f"after moment {moment}"
        if story is not never_gets_well:  # a side that is not well is started anew: that is what may heal it
            assert shop.starts == undisturbed.starts, f"after moment {moment}"
        shop.check_ledger()
        moment += 1
    assert moment > 2, "it never died"


@pytest.mark.parametrize("moment", range(8, 16))
def test_a_promotion_survives_dying_again_and_again(tmp_path: Path, moment: int) -> None:
    """Every process dies after the same few moments, the later ones further on because steps are not done twice."""
    expected = outcome(told(tmp_path, fails_its_smoke_suite)[0])
    shop = Shop(tmp_path, ALONE.replace("production:", "dev:").replace("tier: production", "tier: development"))
    fails_its_smoke_suite(shop)
    for _ in range(60):
        if not shop.crash_after(moment):
            break
    assert outcome(shop) == expected
    shop.check_ledger()
