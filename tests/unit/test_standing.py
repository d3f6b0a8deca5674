"""Every waiting promotion says why, since when, until when at least, and what would let it go on."""

from pathlib import Path
from typing import Any

import pytest

from shipline.control.control import Control
from shipline.control.environment_documents import status_documents
from shipline.control.promotion_documents import approval_document, promotion_document
from tests.fakes.flow_runs import RecordedFlowRuns
from tests.fakes.shop import CONFIGURATION, PROJECT, Shop

SOAKING = CONFIGURATION.replace("after: dev, ", "after: dev, soak_seconds: 3600, ").replace(
    "expires_after_seconds: 3600", "expires_after_seconds: 7200"
)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    found = Shop(tmp_path, SOAKING)
    found.deliver(found.version())
    return found


def waiting(shop: Shop) -> dict[str, Any]:
    """What status says of the one that waits for staging."""
    [staging] = status_documents(shop.connections, PROJECT, "staging")
    assert isinstance(staging, dict)
    found: Any = staging["waiting"]
    return dict(found[0])


def test_status_says_why_since_when_until_when_and_what_helps(shop: Shop) -> None:
    [promotion] = shop.promotions(environment="staging")
    found = waiting(shop)
    assert found.pop("since").startswith("2026-11-22T12:00:00")
    assert found.pop("until").startswith("2026-11-22T13:00:00")
    assert found.pop("because").startswith("Waiting: soaks in dev until 2026-11-22T13:00:00Z, 3600 s from")
    assert found == {
        "id": promotion.id,
        "unblocked_by": f"time; bob or carol: shipline approve {promotion.id}",
    }


def test_what_no_longer_waits_for_time_names_no_time(shop: Shop) -> None:
    shop.installation.clock.advance(3600)
    found = waiting(shop)
    assert (found["because"], found["until"]) == ("Waiting: waiting for 1 approval", None)
    [promotion] = shop.promotions(environment="staging")
    shop.decide(promotion)
    found = waiting(shop)
    assert found["because"] == "Waiting: every gate passes now; it is about to go on"
    assert found["unblocked_by"] is None


def test_approvals_and_promotions_say_the_same(shop: Shop) -> None:
    [promotion] = shop.promotions(environment="staging")
    control = Control(shop.connections, RecordedFlowRuns())
    asked, stands, there = (
        approval_document(control, promotion),
        promotion_document(control, promotion),
        waiting(shop),
    )
    for name in ("since", "until", "unblocked_by"):
        assert asked[name] == stands[name] == there[name]
    assert stands["asks_a_person"]
    assert f"Waiting: {asked['because']}" == there["because"]


def test_what_is_only_on_its_way_says_since_when(shop: Shop) -> None:
    promotion = shop.request(shop.version("2"))
    [dev] = status_documents(shop.connections, PROJECT, "dev")
    assert isinstance(dev, dict)
    assert dev["waiting"] == [
        {
            "id": promotion.id,
            "because": "Requested: requested",
            "since": promotion.requested_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "until": None,
            "unblocked_by": None,
        }
    ]
