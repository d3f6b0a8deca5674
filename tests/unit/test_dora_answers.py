"""DORA's document over the HTTP API: counted both ways, without the robots that were named."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.door import Door
from tests.fakes.shop import ALONE, PROJECT, Shop


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Door]:
    """The API over a production that got a first version and a later one."""
    shop = Shop(tmp_path, ALONE)
    for text in ("1", "2"):
        shop.deliver(shop.version(text), "production")
    yield Door(shop.connections)
    shop.installation.store.close()


def measured(api: Door, **query: Any) -> dict[str, Any]:  # noqa: ANN401  # query parameters
    answer = api.ask("GET", f"/projects/{PROJECT}/dora", params=query)
    document: dict[str, Any] = answer.raise_for_status().json()
    return document


def test_the_other_variant_stands_beside_what_was_asked_for(api: Door) -> None:
    default, seed_a = measured(api), measured(api, variant="seed-a")
    assert (default["variant"], seed_a["variant"]) == ("default", "seed-a")
    assert default["beside"] == {"variant": "seed-a", "metrics": seed_a["metrics"]}
    assert seed_a["beside"] == {"variant": "default", "metrics": default["metrics"]}


def test_an_environment_that_is_none_is_an_error_and_no_empty_answer(api: Door) -> None:
    asked = [
        api.ask("GET", f"/projects/{PROJECT}/dora", params={"environment": "nowhere"}),
        api.ask("GET", f"/projects/{PROJECT}/history", params={"environment": "nowhere"}),
        api.ask("PUT", f"/projects/{PROJECT}/secrets/KEY", json={"value": "x", "environment": "nowhere"}),
    ]
    told = {(one.status_code, one.json()["error"]["message"], one.json()["error"]["hint"]) for one in asked}
    assert told == {(404, "no environment 'nowhere'", "environments: production")}
    assert api.ask("GET", f"/projects/{PROJECT}/history", params={"environment": "production"}).status_code == 200


def test_what_is_wrong_with_an_option_is_said_of_the_option(api: Door) -> None:
    answer = api.ask("GET", f"/projects/{PROJECT}/history", params={"since": "yesterday"})
    assert answer.json()["error"]["message"].startswith("reading the request: since (--since): Input should be")


def test_the_commits_of_every_ignored_author_have_no_lead_time(api: Door) -> None:
    counted = [
        measured(api, ignore_author=authors)["metrics"]["change_lead_time"]["n"]
        for authors in ([], ["a robot"], ["a robot", "Ada Lovelace"])
    ]
    assert counted == [1, 1, 0]
