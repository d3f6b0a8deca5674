"""What a run says of environments that it asked nothing new of: whether what it made still runs there."""

from dataclasses import replace
from pathlib import Path

import pytest

from delivery.promotion import Promotion
from delivery.run import Run, RunState
from shipline.control.promoting import roll_back
from shipline.control.run_documents import overall_state, promotion_documents
from tests.fakes.shop import ADA, CONFIGURATION, PROJECT, Shop, Version

OPEN = CONFIGURATION.replace("approvals: {count: 1, expires_after_seconds: 3600},", "")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, OPEN)


def run_of(shop: Shop, version: Version, identity: str = "second") -> Run:
    asked_at = shop.connections.clock.now()
    run = Run(identity, PROJECT, version.commit, None, asked_at, "ada", RunState.COMPLETED, release=version.release)
    return replace(run, verified_at=asked_at)


def told(shop: Shop, run: Run) -> tuple[RunState, dict[str, tuple[str, str]]]:
    documents = promotion_documents(shop.connections, run)
    stand = {str(one["environment"]): (str(one["state"]), str(one["because"])) for one in documents}
    return overall_state(run, documents), stand


def back(shop: Shop, environment: str) -> Promotion:
    asked = roll_back(shop.connections, PROJECT, environment, ADA, to=None, service=None, request="back")
    shop.work_off()
    return shop.look(asked)


LIVE = ("Succeeded", "live, verified and watched")


def test_what_a_rollback_undid_is_superseded_and_says_how_to_bring_it_back(shop: Shop) -> None:
    shop.deliver(shop.version("1"))
    second = shop.version("2")
    shop.deliver(second, run="first")
    assert told(shop, run_of(shop, second)) == (RunState.COMPLETED, {"dev": LIVE, "staging": LIVE})

    undone = back(shop, "staging")
    bring = f"shipline promote {second.commit[:12]} --to staging"
    way = f"rolled back since by promotion {undone.id}; bring it back with: {bring}"
    assert told(shop, run_of(shop, second)) == (RunState.REFUSED, {"dev": LIVE, "staging": ("Superseded", way)})
    assert told(shop, run_of(shop, second, "first")) == (RunState.COMPLETED, {"dev": LIVE, "staging": LIVE})


def test_what_something_newer_replaced_is_superseded_and_says_how_to_go_back(shop: Shop) -> None:
    first = shop.version("1")
    shop.deliver(first, run="first")
    shop.deliver(shop.version("2"))
    [newer] = shop.promotions(environment="staging", phase="Succeeded")[1:]
    state, stand = told(shop, run_of(shop, first))
    name = first.release.removeprefix("sha256:")[:12]
    way = f"replaced since by promotion {newer.id}; go back to it with: shipline rollback staging --to {name}"
    assert (state, stand["staging"]) == (RunState.REFUSED, ("Superseded", way))


def test_what_a_rollback_brought_back_runs(shop: Shop) -> None:
    first = shop.version("1")
    shop.deliver(first, run="first")
    shop.deliver(shop.version("2"))
    back(shop, "staging")
    assert told(shop, run_of(shop, first))[1]["staging"] == LIVE
