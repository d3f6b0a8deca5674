"""What is said beside a plan, a run or an accepted policy."""

from pathlib import Path

import pytest

from delivery.connections import Connections
from delivery.ledger import Draft
from delivery.policy import proposed_policies
from delivery.promoting.accepting import accept
from delivery.promoting.candidates import configuration_at
from shipline.control.notes import notes_of, refused_by_acceptance
from shipline.control.planning import Asked
from tests.fakes.shop import ADA, CONFIGURATION, PROJECT, Shop, run_pass
from tests.repositories import Made, make_repository

LOOSER = CONFIGURATION.replace("approvals: {count: 1, expires_after_seconds: 3600},", "")
LEFT_OUT = "uncommitted changes are not part of it; --dirty takes the work tree as it is"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "home")


def stand_in(connections: Connections, location: Path) -> None:
    body = {"slug": PROJECT, "source": "memory", "default_branch": "main", "location": str(location)}
    connections.ledger.append(PROJECT, [Draft("project.registered", dict(body), ADA, connections.clock.now())])


def test_what_is_uncommitted_where_one_stands_is_no_part_of_head(shop: Shop, tmp_path: Path) -> None:
    tree = make_repository(tmp_path / "tree", [Made({"a": "1"})]).folder
    stand_in(shop.connections, tree)
    commit = shop.version().commit
    assert notes_of(shop.connections, PROJECT, Asked(), commit) == []
    (tree / "b").write_text("new")
    assert notes_of(shop.connections, PROJECT, Asked(), commit) == [LEFT_OUT]
    assert notes_of(shop.connections, PROJECT, Asked(revision="main"), commit) == []
    assert notes_of(shop.connections, PROJECT, Asked(dirty=True), commit) == []


def test_a_looser_policy_is_proposed_and_not_in_force(shop: Shop) -> None:
    shop.version()
    looser = shop.version(configuration=LOOSER)
    assert notes_of(shop.connections, PROJECT, Asked(), looser.commit) == [
        "policy of staging: proposed, not in force until: shipline policy accept"
    ]
    tighter = shop.version(configuration=CONFIGURATION.replace("count: 1", "count: 2"))
    assert notes_of(shop.connections, PROJECT, Asked(), tighter.commit) == []


def test_what_waits_under_the_policy_before_is_refused_and_how_to_ask_again_is_said(shop: Shop) -> None:
    shop.deliver(shop.version())
    [waiting] = shop.promotions(environment="staging")
    run_pass(shop.connections, waiting.id)
    assert refused_by_acceptance(shop.connections, PROJECT, ["staging"]) == []
    looser = proposed_policies(configuration_at(shop.connections, PROJECT, shop.version(configuration=LOOSER).commit))
    accept(shop.connections, PROJECT, {"staging": looser["staging"]}, ADA)
    again = f"shipline promote {waiting.configuration_revision[:12]} --to staging"
    assert refused_by_acceptance(shop.connections, PROJECT, ["staging"]) == [
        {"id": waiting.id, "environment": "staging", "again": again}
    ]
