"""What may be forgotten of runs and promotions, and what of it is still needed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uuid6

from delivery.actor import SHIPLINE
from delivery.artifact import Digest
from delivery.errors import ConfigurationError
from delivery.home import Home
from delivery.ledger import Draft
from delivery.promotion import Kind, Phase, Promotion
from delivery.retention import Remains, Retention, asked_at, forgettable, id_at, retained_releases
from delivery.run import Run, RunState
from shipline.control.retaining import Forgotten, clear_checkouts, forget
from shipline.control.settings import retention
from tests.fakes.connections import Installation

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RULES = Retention(runs=timedelta(days=90), log_bytes=1000)
KEPT, OTHER = (Digest("sha256:" + digit * 64) for digit in "12")


def remains(days: float, size: int = 10, *, ended: bool = True, release: str | None = None) -> Remains:
    return Remains(f"{days} days", NOW - timedelta(days=days), size, ended, release)


def gone(*found: Remains, retained: frozenset[str] = frozenset()) -> list[str]:
    total = sum(one.bytes for one in found)
    return [one.id for one in forgettable(found, total, retained, RULES, NOW)]


def test_what_is_too_old_goes() -> None:
    assert gone(remains(200), remains(90.1), remains(89), remains(1)) == ["200 days", "90.1 days"]


def test_the_oldest_go_until_logs_take_no_more_than_they_may() -> None:
    assert gone(remains(9, 600), remains(8, 300), remains(7, 300), remains(6, 500)) == ["9 days", "8 days"]
    assert gone(remains(9, 600), remains(8, 300), remains(7, 100)) == []


def test_what_goes_on_and_what_a_retained_release_is_made_of_stay_whatever_their_age_and_size() -> None:
    found = (remains(300, ended=False), remains(200, 5000, release=KEPT), remains(100, release=OTHER))

    assert gone(*found, retained=frozenset({KEPT})) == ["100 days"]


def test_it_is_not_read_further_than_something_may_go() -> None:
    def unending() -> Iterator[Remains]:
        yield remains(100)
        yield remains(1)
        raise AssertionError

    assert [one.id for one in forgettable(unending(), 20, frozenset(), RULES, NOW)] == ["100 days"]


def promotion(release: Digest, previous: Digest | None = None) -> Promotion:
    return Promotion(
        id="p",
        project="shop",
        environment="dev",
        kind=Kind.CHANGE,
        phase=Phase.WAITING,
        because="",
        release=release,
        candidate=release,
        configuration=release,
        policy_version=1,
        configuration_revision="c",
        requested_at=NOW,
        requested_by=SHIPLINE,
        sequence=1,
        previous_release=previous,
    )


def test_a_release_is_retained_while_it_runs_could_run_again_or_is_on_its_way() -> None:
    assert retained_releases([{"release": KEPT}], []) == {KEPT}
    assert retained_releases([], [promotion(KEPT, previous=OTHER)]) == {KEPT, OTHER}


def test_an_id_tells_when_it_was_made() -> None:
    made = uuid6.uuid7()
    at = asked_at(str(made))

    assert at is not None
    assert abs(at - datetime.now(UTC)) < timedelta(minutes=1)
    assert id_at(at - timedelta(seconds=1)) < str(made) < id_at(at + timedelta(seconds=1))
    for name in ("fixtures", "", "0198c1f2-7e0a-4bbb-8f00-2f6a5b1c9d3e", "x" * 12 + "7" * 20):
        assert asked_at(name) is None


def test_the_environment_says_how_much_is_kept() -> None:
    assert retention({}) == Retention()
    assert retention({"SHIPLINE_KEEP_RUN_DAYS": "7", "SHIPLINE_KEEP_LOG_MEGABYTES": "5"}) == replace(
        Retention(), runs=timedelta(days=7), log_bytes=5 * 1024**2
    )


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "week", "36501", "٣"])
def test_a_setting_that_is_no_number_of_days_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        retention({"SHIPLINE_KEEP_RUN_DAYS": text})

    assert caught.value.message == (
        f"reading SHIPLINE_KEEP_RUN_DAYS: it must be a whole number from 1 to 36500, got '{text}'"
    )


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(Home(tmp_path / "home"))


def made_run(installation: Installation, days: float, release: Digest, *, ended: bool = True) -> str:
    """A run asked for so many days ago, with a step and its log."""
    at = installation.clock.now() - timedelta(days=days)
    identity = f"{id_at(at)}-7{uuid6.uuid7().hex[13:16]}-8000-{uuid6.uuid7().hex[20:]}"
    run = Run(identity, "shop", "c" * 40, None, at, "anna", release=release)
    run = run.ended(RunState.COMPLETED, "", at) if ended else run
    installation.operations.save("plans", identity, "shop", {"at": "then"})
    installation.operations.save("runs", identity, "shop", run.document())
    installation.operations.save("steps", f"{identity}/unit", "shop", {"run": identity})
    logs = installation.home.run_logs(identity)
    logs.mkdir(parents=True)
    (logs / "unit.log").write_text("passed\n")
    return identity


def left(installation: Installation) -> tuple[set[str], set[str], set[str]]:
    """Runs and promotions that have documents, steps, and logs."""
    operations = installation.operations
    documents = {key for table in ("runs", "plans") for key in operations.keys(table, "~")}
    steps = {str(one["run"]) for one in operations.find("steps")}
    logs = installation.home.logs / "runs"
    return documents, steps, {one.name for one in logs.iterdir()}


def test_of_an_old_run_nothing_is_left_and_of_others_everything(installation: Installation) -> None:
    made_run(installation, 120, OTHER)
    live = made_run(installation, 150, KEPT)
    unfinished = made_run(installation, 100, OTHER, ended=False)
    young = made_run(installation, 10, OTHER)
    body = {"environment": "dev", "service": "api", "promotion": "p1", "release": KEPT}
    installation.ledger.append("shop", [Draft("deployment.live", body, SHIPLINE, installation.clock.now())])

    done = forget(installation.connect(), RULES)

    stay = {live, unfinished, young}
    assert done == Forgotten(subjects=1, bytes=7)
    assert left(installation) == (stay, stay, stay)
    assert forget(installation.connect(), RULES) == Forgotten(0, 0)


def test_logs_that_nobody_knows_are_forgotten_with_their_time(installation: Installation) -> None:
    """A kill between folder and documents, or documents that are gone, leave nothing behind for ever."""
    known = made_run(installation, 120, OTHER)
    installation.operations.forget(known)
    (installation.home.logs / "runs" / "a folder of somebody's").mkdir()

    assert forget(installation.connect(), RULES) == Forgotten(1, 7)
    assert left(installation)[2] == {"a folder of somebody's"}


def test_a_checkout_that_a_kill_left_goes_after_a_day(tmp_path: Path) -> None:
    home = Home(tmp_path)
    checkout = home.work / f"{uuid6.uuid7()}-unit-0123"
    (checkout / "checkout").mkdir(parents=True)
    (home.work / "fixtures").mkdir()
    made = checkout.stat().st_mtime

    assert clear_checkouts(home, made + 3600) == 0
    assert clear_checkouts(home, made + 2 * 86_400) == 1
    assert [one.name for one in home.work.iterdir()] == ["fixtures"]
