"""What counts as a deployment, how often they come, and which of them failed."""

import pytest

from tests.fakes.dora_history import HistoryBuilder, text


@pytest.fixture
def history() -> HistoryBuilder:
    return HistoryBuilder()


def quiet(history: HistoryBuilder, count: int, first: float = 1) -> None:
    """Changes that nothing is wrong with, one a day."""
    for number in range(count):
        history.deploy(f"quiet{number}", first + number)


def test_no_data_is_insufficient_data_and_never_zero(history: HistoryBuilder) -> None:
    document = history.ask()

    assert document["n"] == 0
    assert {metric["value"] for metric in document["metrics"].values()} == {None}
    assert {metric["band"] for metric in document["metrics"].values()} == {"insufficient data"}


@pytest.mark.parametrize(("count", "band"), [(4, "insufficient data"), (5, "elite")])
def test_fewer_than_five_deployments_give_no_rate(history: HistoryBuilder, count: int, band: str) -> None:
    quiet(history, count)

    metric = history.metric("change_fail_rate")

    assert metric["n"] == count
    assert metric["band"] == band


def test_only_the_production_tier_is_measured(history: HistoryBuilder) -> None:
    quiet(history, 5)
    history.deploy("elsewhere", 2, environment="staging", tier="staging")

    assert history.ask()["n"] == 5
    assert history.ask(environment="staging")["n"] == 0


def test_a_redeploy_is_no_deployment(history: HistoryBuilder) -> None:
    quiet(history, 5)
    history.deploy("again", 6.5, kind="redeploy", result="failed")

    assert history.ask()["n"] == 5
    assert history.metric("pipeline_failure_rate")["n"] == 5


def test_rollbacks_are_counted_apart_in_the_frequency(history: HistoryBuilder) -> None:
    quiet(history, 6)
    history.deploy("undo", 7, kind="rollback", rollback_of="quiet5")

    metric = history.metric("deployment_frequency")

    assert metric["value"] == pytest.approx(6 / 28)
    assert metric["all_per_day"] == pytest.approx(7 / 28)
    assert metric["n"] == 6


def test_weeks_without_a_deployment_count_as_zero_days(history: HistoryBuilder) -> None:
    quiet(history, 5, first=0.5)

    metric = history.metric("deployment_frequency")

    assert metric["days_per_week_median"] == 0
    assert history.metric("deployment_frequency", end=7)["days_per_week_median"] == 5


def test_two_deployments_on_one_day_are_one_deployment_day(history: HistoryBuilder) -> None:
    for number in range(6):
        history.deploy(f"p{number}", 1 + number / 100)

    metric = history.metric("deployment_frequency", end=7)

    assert metric["days_per_week_median"] == 1
    assert metric["seconds_between_median"] == pytest.approx(864)


def test_the_day_of_a_deployment_is_the_projects_own(history: HistoryBuilder) -> None:
    """Half past eleven at night and half past midnight in UTC are one day in New York."""
    for number in range(5):
        history.deploy(f"p{number}", 2 - 0.5 / 24 if number % 2 else 2 + 0.5 / 24)

    assert history.metric("deployment_frequency", end=7)["days_per_week_median"] == 2
    assert history.metric("deployment_frequency", end=7, timezone="America/New_York")["days_per_week_median"] == 1


def test_less_than_a_week_is_too_short_for_a_frequency(history: HistoryBuilder) -> None:
    quiet(history, 6, first=0)

    metric = history.metric("deployment_frequency", end=6)

    assert metric["value"] is None
    assert metric["flags"] == ["the window is shorter than a week"]


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ("rollback", "rollback undo/api"),
        ("hotfix", "hotfix undo/api"),
        ("incident", "incident pain"),
        ("verification", "ended 'rolled back' after users saw it"),
    ],
)
def test_each_failure_mark_makes_a_failed_change(history: HistoryBuilder, mark: str, reason: str) -> None:
    quiet(history, 4)
    history.deploy("bad", 6, result="rolled back" if mark == "verification" else "succeeded")
    if mark in {"rollback", "hotfix"}:
        history.deploy("undo", 6.5, kind=mark, rollback_of="bad")
    if mark == "incident":
        history.incident("pain", 6.1, "bad")

    document = history.ask()

    assert document["metrics"]["change_fail_rate"]["hits"] == ["bad/api"]
    row = next(row for row in document["rows"] if row["id"] == "bad/api")
    assert row["failed_because"] == [reason]


def test_a_hotfix_that_answers_an_incident_marks_what_caused_it(history: HistoryBuilder) -> None:
    quiet(history, 4)
    history.deploy("bad", 6)
    history.incident("pain", 6.1, "bad")
    history.deploy("fix", 6.5, kind="hotfix", caused_by_incident="pain")

    metric = history.metric("change_fail_rate")

    assert metric["hits"] == ["bad/api"]
    assert metric["value"] == pytest.approx(1 / 6)


def test_a_deployment_with_many_failure_marks_counts_once(history: HistoryBuilder) -> None:
    quiet(history, 4)
    history.deploy("bad", 6, result="failed")
    history.incident("pain", 6.1, "bad")
    history.incident("more pain", 6.2, "bad")
    history.deploy("undo", 6.5, kind="rollback", rollback_of="bad", caused_by_incident="pain")

    assert history.metric("change_fail_rate")["value"] == pytest.approx(1 / 5)


def test_a_failure_of_one_service_does_not_blame_the_others(history: HistoryBuilder) -> None:
    for service in ("api", "web"):
        history.deploy("both", 2, service=service)
    history.incident("pain", 2.1, "both", service="web")
    history.deploy("undo", 2.2, kind="rollback", rollback_of="both", service="web")

    document = history.ask()

    assert document["metrics"]["change_fail_rate"]["hits"] == ["both/web"]


def test_failing_before_any_traffic_is_a_pipeline_failure_even_with_an_incident(history: HistoryBuilder) -> None:
    quiet(history, 5)
    history.deploy("never", 7, result="failed", exposed_at=None, live_at=None)
    history.incident("pain", 7.1, "never")

    document = history.ask()

    assert document["n"] == 5
    assert document["metrics"]["change_fail_rate"]["value"] == 0
    assert document["metrics"]["pipeline_failure_rate"]["value"] == pytest.approx(1 / 6)
    assert document["metrics"]["pipeline_failure_rate"]["hits"] == ["never/api"]


def test_a_deployment_under_way_is_no_pipeline_failure(history: HistoryBuilder) -> None:
    quiet(history, 5)
    history.deploy("now", 7, result=None, exposed_at=None, live_at=None)

    assert history.metric("pipeline_failure_rate")["n"] == 5


def test_an_aborted_canary_failed_and_was_restored_and_never_live(history: HistoryBuilder) -> None:
    quiet(history, 4)
    history.deploy(
        "canary", 6, commits=[("c", 5)], result="rolled back", live_at=None, restored_at=text(6 + 600 / 86_400)
    )

    document = history.ask()

    assert document["metrics"]["change_fail_rate"]["hits"] == ["canary/api"]
    assert document["metrics"]["change_lead_time"]["n"] == 0
    row = next(row for row in document["rows"] if row["id"] == "canary/api")
    assert (row["live_at"], row["restored_at"]) == (None, "2026-06-07T00:10:00.000000Z")


def test_a_failed_rollback_is_no_failed_change(history: HistoryBuilder) -> None:
    quiet(history, 5)
    history.deploy("undo", 7, kind="rollback", rollback_of="quiet4", result="failed")

    metric = history.metric("change_fail_rate")

    assert metric["n"] == 5
    assert metric["hits"] == ["quiet4/api"]


def test_rework_is_what_nobody_had_planned(history: HistoryBuilder) -> None:
    quiet(history, 5)
    history.deploy("undo", 7, kind="rollback", rollback_of="quiet4")
    history.deploy("fix", 8, kind="hotfix")
    history.deploy("urgent", 9, planned=False)

    metric = history.metric("deployment_rework_rate")

    assert metric["hits"] == ["undo/api", "fix/api", "urgent/api"]
    assert metric["value"] == pytest.approx(3 / 8)


def test_the_window_is_half_open(history: HistoryBuilder) -> None:
    history.deploy("first", 0)
    history.deploy("after", 28)

    assert [row["id"] for row in history.ask()["rows"]] == ["first/api"]


def test_a_rollback_after_the_window_still_marks_what_it_undoes(history: HistoryBuilder) -> None:
    quiet(history, 5)
    history.deploy("undo", 40, kind="rollback", rollback_of="quiet4")

    assert history.metric("change_fail_rate")["hits"] == ["quiet4/api"]


def test_without_anything_that_tells_failures_the_fail_and_rework_rates_are_unknown(history: HistoryBuilder) -> None:
    for number in range(8):
        history.deploy(f"imported{number}", 1 + number, result=None)
    for name in ("change_fail_rate", "deployment_rework_rate"):
        metric = history.metric(name)
        assert (metric["value"], metric["band"], metric["n"]) == (None, "unknown", 8)
        assert metric["flags"][0].startswith("nothing here could tell")


def test_one_incident_is_a_source_and_then_no_failure_is_a_rate(history: HistoryBuilder) -> None:
    for number in range(8):
        history.deploy(f"imported{number}", 1 + number, result=None)
    history.incident("fire", 3, caused_by="imported2")
    assert history.metric("change_fail_rate")["value"] == pytest.approx(1 / 8)


def test_a_rollback_after_the_window_is_a_source_too(history: HistoryBuilder) -> None:
    for number in range(8):
        history.deploy(f"imported{number}", 1 + number, result=None)
    history.deploy("undo", 40, kind="rollback", rollback_of="imported2", result=None)
    metric = history.metric("change_fail_rate")
    assert (metric["value"], metric["hits"]) == (pytest.approx(1 / 8), ["imported2/api"])
