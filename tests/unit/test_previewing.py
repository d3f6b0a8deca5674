"""What the gates would say is asked without a promotion, and changes nothing."""

from pathlib import Path
from typing import Any

import pytest

from delivery.source import Revision
from shipline.control.previewing import Question, gates_of
from tests.fakes.shop import ADA, CONFIGURATION, PROJECT, Shop

SOAKING = CONFIGURATION.replace("after: dev, ", "after: dev, soak_seconds: 3600, checks: [{name: scan}], ")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, SOAKING)


def gates(shop: Shop, commit: str, environment: str = "staging", based_on: str | None = None) -> dict[str, Any]:
    """By name: what each gate would say."""
    found: Any = gates_of(shop.connections, Question(PROJECT, Revision(commit, based_on), environment, ADA))
    return {one.pop("gate"): one for one in found}


def test_every_gate_says_what_it_would_say_and_nothing_is_written(shop: Shop) -> None:
    version = shop.version()
    shop.request(version)
    shop.work_off()
    shop.hold("staging", "the sale is on")
    [waiting] = shop.promotions(environment="staging")
    entries, stored = shop.length, dict(shop.installation.store.contents)
    found = gates(shop, version.commit)
    assert (shop.length, shop.installation.store.contents) == (entries, stored)
    assert found.pop("soaked")["until"].startswith("2026-11-22T13:00:00")
    assert found.pop("approvals") == {
        "passed": False,
        "waiting": True,
        "reasons": ["waiting for 1 approval"],
        "until": None,
        "unblocked_by": None,
    }
    assert found.pop("checks")["reasons"] == ["check 'scan' has no result"]
    assert found.pop("not held")["unblocked_by"] == "a person: shipline unhold staging"
    assert [name for name, one in found.items() if not one["passed"]] == []
    assert list(found) == [
        "policy",
        "clean",
        "verified upstream",
        "verified before",
        "not bad",
        "newer",
        "not frozen",
        "no open incident",
        "quota",
        "queue",
        "conditions",
    ]
    assert shop.promotions(environment="staging") == [waiting]


def test_a_revision_without_a_release_is_asked_about_the_moment_only(shop: Shop) -> None:
    shop.version()
    commit = shop.installation.source.commit({"web/main": "2"})
    found = gates(shop, commit)
    assert found.pop("release") == {
        "passed": False,
        "waiting": True,
        "reasons": [f"revision {commit[:12]} has no release yet"],
        "until": None,
        "unblocked_by": f"shipline run {commit[:12]}",
    }
    assert list(found) == ["clean", "not held", "not frozen", "no open incident", "checks", "quota", "queue"]
    assert not gates(shop, commit, based_on=commit)["clean"]["passed"]


def test_who_asks_is_who_would_ask(shop: Shop) -> None:
    """Nobody but a person asks for production here, and a hold does not keep people back."""
    version = shop.version()
    shop.hold("production", "the sale is on")
    assert gates(shop, version.commit, "production")["not held"]["passed"]
