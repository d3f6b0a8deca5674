"""The tour's own honesty: what does not hold ends it, and nothing is left of it."""

import re
from pathlib import Path

import pytest

from shipline import tour
from shipline.tour_place import ClaimError, Hammer, Place, ask, claim, throw_away_place


def test_a_claim_that_does_not_hold_is_told() -> None:
    claim([1], "there is one")
    with pytest.raises(ClaimError, match="does not hold: there is one"):
        claim([], "there is one")


def test_the_first_stage_that_fails_ends_the_tour(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[str] = []

    def fails(_place: Place) -> None:
        claim(0, "that it works")

    stages = (
        ("One", lambda _place: walked.append("one")),
        ("Two", fails),
        ("Three", lambda _place: walked.append("three")),
    )
    monkeypatch.setattr(tour, "STAGES", stages)
    said: list[str] = []
    went = tour.tour(said.append)
    assert [(one.title, one.ok) for one in went] == [("One", True), ("Two", False)]
    assert walked == ["one"]
    assert "   does not hold: that it works" in said


def test_nothing_is_left_of_a_place_also_after_ctrl_c() -> None:
    folders: list[Path] = []

    def interrupted() -> None:
        with throw_away_place(lambda _: None, keep=False) as place:
            folders.append(place.folder)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not folders[0].exists()


def test_a_service_that_does_not_answer_breaks_the_claim() -> None:
    with pytest.raises(ClaimError, match=re.escape("does not hold: http://127.0.0.1:1/ answers")):
        ask("http://127.0.0.1:1")


def test_a_hammer_counts_what_failed() -> None:
    with Hammer("http://127.0.0.1:1") as hammer:
        while hammer.asked < 3:
            pass
    assert len(hammer.failed) == hammer.asked
