"""Where the way back leads: to what stood before, further with each rollback, and never to what was rolled back."""

from pathlib import Path

import pytest

from delivery.errors import NotFoundError
from delivery.promotion import Phase, Promotion
from shipline.control.promoting import roll_back
from tests.fakes.shop import ADA, ALONE, PROJECT, Shop, Version

NO_WAY_BACK = "rolling back production: no earlier good release"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, ALONE)


def deliver(shop: Shop, *names: str) -> list[Version]:
    versions = [shop.version(name) for name in names]
    for one in versions:
        assert shop.deliver(one, "production").phase is Phase.SUCCEEDED
    return versions


def back(shop: Shop, to: Version | None = None, service: str | None = None) -> Promotion:
    number = len(shop.promotions())
    named = to.release if to else None
    asked = roll_back(shop.connections, PROJECT, "production", ADA, to=named, service=service, request=f"back {number}")
    shop.work_off()
    done = shop.look(asked)
    assert done.phase is Phase.SUCCEEDED, done.because
    return done


def test_each_rollback_goes_further_back_until_there_is_nothing_good_left(shop: Shop) -> None:
    first, second, _ = deliver(shop, "1", "2", "3")
    assert back(shop).release == second.release
    assert back(shop).release == first.release
    with pytest.raises(NotFoundError) as none:
        back(shop)
    assert none.value.message == NO_WAY_BACK
    assert shop.serving("production") == first.artifacts


def test_what_is_promoted_again_stands_again(shop: Shop) -> None:
    first, second, third = deliver(shop, "1", "2", "3")
    back(shop, to=first)
    shop.deliver(third, "production", request="again")
    assert back(shop).release == first.release  # the second was gone back over
    shop.deliver(second, "production", request="the second again", replace=True)
    assert back(shop).release == first.release


def test_a_rollback_to_what_was_rolled_back_is_a_persons_own_wish(shop: Shop) -> None:
    first, second = deliver(shop, "1", "2")
    assert back(shop).release == first.release
    assert back(shop, to=second).release == second.release
    assert back(shop).release == first.release


def test_after_a_rollback_of_one_service_the_way_back_leads_past_what_had_it(shop: Shop) -> None:
    first, second, _ = deliver(shop, "1", "2", "3")
    derived = back(shop, to=second, service="api")
    assert derived.release == second.release
    assert back(shop).release == first.release


@pytest.mark.parametrize("says", ["api", "web"])
def test_services_of_a_set_go_back_together_whichever_of_them_says_so(tmp_path: Path, says: str) -> None:
    other = {"api": "web", "web": "api"}[says]
    declared = ALONE.replace(f"  {says}: {{paths:", f"  {says}: {{together_with: [{other}], paths:", 1)
    shop = Shop(tmp_path, declared)
    first, second = (shop.version(name, name) for name in ("1", "2"))
    for one in (first, second):
        assert shop.deliver(one, "production").phase is Phase.SUCCEEDED
    assert shop.serving("production") == second.artifacts
    back(shop, to=first, service="api")
    assert shop.serving("production") == first.artifacts


def test_a_set_that_the_earlier_release_does_not_have_whole_does_not_go_back(tmp_path: Path) -> None:
    alone = "\n".join(line for line in ALONE.splitlines() if not line.startswith("  web:"))
    alone = alone.replace(", web: {port: 8302}", "").replace("service: web", "service: api")
    shop = Shop(tmp_path, alone)
    first = shop.version("1", configuration=alone)
    assert shop.deliver(first, "production").phase is Phase.SUCCEEDED
    both = ALONE.replace("  api: {paths:", "  api: {together_with: [web], paths:", 1)
    assert shop.deliver(shop.version("2", "2", configuration=both), "production").phase is Phase.SUCCEEDED
    with pytest.raises(NotFoundError, match="rolling back api: web is not in both releases"):
        roll_back(shop.connections, PROJECT, "production", ADA, to=first.release, service="api", request="back")


def test_a_rollback_that_fails_goes_back_past_what_somebody_rolled_back(shop: Shop) -> None:
    first, second, third = deliver(shop, "1", "2", "3")
    shop.sick.add(second.artifacts["api"])
    asked = roll_back(shop.connections, PROJECT, "production", ADA, to=None, service=None, request="back")
    shop.work_off()
    assert shop.look(asked).phase is Phase.FAILED
    assert shop.serving("production") == first.artifacts
    assert third.release not in {one.release for one in shop.promotions(kind="rollback")}


def test_what_is_bad_is_gone_past(shop: Shop) -> None:
    first, second, _ = deliver(shop, "1", "2", "3")
    shop.installation.ledger.append(
        PROJECT, [shop._fact("release.marked_bad", {"digests": [second.release], "promotion": "p", "because": "why"})]
    )
    assert back(shop).release == first.release
