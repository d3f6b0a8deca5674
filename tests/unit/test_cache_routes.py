"""The cache over the HTTP API of an installation in memory."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from delivery.caching.keeping import GRACE
from delivery.ledger import Draft
from tests.fakes.door import Door
from tests.fakes.shop import ADA
from tests.unit.test_running_a_revision import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    made.installation.store.now = made.installation.clock.now
    body = {"slug": "shop", "source": "x", "default_branch": "main", "location": "/x"}
    made.connections.ledger.append(
        "shop", [Draft("project.registered", dict(body), ADA, made.installation.clock.now())]
    )
    made.deliver(made.run(made.commit()))
    made.deliver(made.run(made.commit()))
    yield made
    made.close()


@pytest.fixture
def api(workshop: Workshop) -> Door:
    return Door(workshop.connections)


def test_stats_tell_use_and_size(api: Door) -> None:
    told = api.get("/projects/shop/cache/stats").json()
    assert (told["project"], told["shared"]) == ("shop", None)
    assert {name: told["steps"][name] for name in ("executed", "reused", "hit_rate")} == {
        "executed": 5,
        "reused": 3,
        "hit_rate": 0.375,
    }
    assert (told["size"]["results"], told["size"]["bytes"] > told["size"]["needed_bytes"] > 0) == (3, True)


def test_what_would_go_is_shown_and_then_goes(api: Door, workshop: Workshop) -> None:
    shown = api.get("/cache/gc", keep="0").json()
    assert (shown["removed"], shown["results"], shown["kept"]["recent_results"]) == (False, 0, 3)
    workshop.installation.clock.advance((GRACE + timedelta(minutes=1)).total_seconds())
    shown = api.get("/cache/gc", keep="0").json()
    gone = api.ask("POST", "/cache/gc", json={"keep": "0"}).json()
    assert (shown["results"], shown["removed"]) == (3, False)
    assert {**gone, "removed": False} == shown
    assert api.get("/projects/shop/cache/stats").json()["size"]["results"] == 0


def test_what_is_neither_size_nor_age_is_refused_and_nothing_goes(api: Door) -> None:
    for answer in (api.get("/cache/gc", keep="much"), api.ask("POST", "/cache/gc", json={"keep": "much"})):
        assert answer.status_code == 422
        assert answer.json()["error"]["message"] == "reading --keep much: that is neither a size nor an age"
