"""Clearing an installation: releases, promotions and runs under way keep what they count on."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from delivery.caching.clearing import look, take_away
from delivery.caching.keeping import GRACE, Keep, choose_removal
from tests.unit.test_running_a_revision import Workshop

NOTHING = Keep(size=0)


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    made.installation.store.now = made.installation.clock.now
    yield made
    made.close()


def later(workshop: Workshop) -> None:
    workshop.installation.clock.advance((GRACE + timedelta(minutes=1)).total_seconds())


def clear(workshop: Workshop, keep: Keep = NOTHING) -> tuple[int, int]:
    holdings = look(workshop.connections)
    gone = take_away(workshop.connections, choose_removal(holdings, keep), holdings)
    return len(gone.results), len(gone.blobs)


def test_releases_keep_their_definitions_and_promotions_their_configurations(workshop: Workshop) -> None:
    workshop.deliver(workshop.run(workshop.commit()))
    later(workshop)
    assert clear(workshop)[0] == 3
    [release] = workshop.connections.ledger.rows("releases")
    promotions = workshop.connections.ledger.rows("promotions")
    definitions = {one["definition"] for one in release["services"].values()}  # type: ignore[union-attr, index, call-overload]  # documents
    assert len(promotions) == 2
    assert set(workshop.installation.store.contents) == definitions | {one["configuration"] for one in promotions}


def test_what_was_used_within_the_hour_stays(workshop: Workshop) -> None:
    workshop.deliver(workshop.run(workshop.commit()))
    assert clear(workshop) == (0, 0)


def test_a_run_under_way_finds_what_it_was_planned_to_reuse(workshop: Workshop) -> None:
    workshop.deliver(workshop.run(workshop.commit()))
    run = workshop.run(workshop.commit())
    work = workshop.take(run)
    later(workshop)
    assert clear(workshop) == (0, 0)
    workshop.test(work)
    assert [one.state.value for one in work.results.values()] == ["Cached", "Cached", "Cached", "Completed"]


def test_what_is_used_after_the_look_stays_with_its_blobs(workshop: Workshop) -> None:
    workshop.deliver(workshop.run(workshop.commit()))
    later(workshop)
    holdings = look(workshop.connections)
    removal = choose_removal(holdings, NOTHING)
    keys = [one.key for one in removal.results]
    assert workshop.connections.step_cache.lookup(keys[0])
    gone = take_away(workshop.connections, removal, holdings)
    assert {one.key for one in gone.results} == {*keys[1:]}
    assert workshop.connections.step_cache.lookup(keys[0])
    assert workshop.connections.step_cache.lookup(keys[1]) is None


def test_a_step_whose_result_was_removed_runs_again(workshop: Workshop) -> None:
    workshop.deliver(workshop.run(workshop.commit()))
    later(workshop)
    clear(workshop)
    ended = workshop.deliver(workshop.run(workshop.commit()))
    assert ended.state.value == "Completed"
    assert workshop.ran.count("lint") == 2
