"""How long changes take to reach users and failures to be over."""

import pytest

from tests.fakes.dora_history import HistoryBuilder, text

DAY = 86_400


@pytest.fixture
def history() -> HistoryBuilder:
    return HistoryBuilder()


def five_commits(at: float, ages: tuple[float, ...] = (1, 2, 3, 4, 10)) -> list[tuple[str, float]]:
    return [(f"c{number}", at - age) for number, age in enumerate(ages)]


def test_lead_time_is_the_interpolated_median_over_commits(history: HistoryBuilder) -> None:
    history.deploy("one", 12, commits=five_commits(12))
    history.deploy("two", 13, commits=[("d", 13 - 5)])

    metric = history.metric("change_lead_time")

    assert metric["n"] == 6
    assert metric["value"] == 3.5 * DAY
    assert metric["p90"] == pytest.approx(7.5 * DAY)
    assert metric["mean"] == pytest.approx(25 / 6 * DAY)
    assert (metric["band"], metric["survey_answer"]) == ("high", "between one day and one week")


def test_the_first_deployment_ever_is_a_seed_and_not_all_history(history: HistoryBuilder) -> None:
    history.deploy("first", 5, seed=True, commits=[(f"old{number}", -900) for number in range(50)])
    history.deploy("next", 12, commits=five_commits(12))

    metric = history.metric("change_lead_time")

    assert metric["n"] == 5
    assert metric["flags"] == ["seed: first deployment left out: first/api"]
    assert history.ask()["n"] == 2


def test_merge_commits_have_no_lead_time(history: HistoryBuilder) -> None:
    history.deploy("one", 12, commits=five_commits(12))
    history.commits.append({"deployment": "one/api", "id": "merge", "parents": 2, "committed_at": text(0)})

    assert history.metric("change_lead_time")["n"] == 5


def test_robots_can_be_left_out(history: HistoryBuilder) -> None:
    history.deploy("one", 12, commits=five_commits(12))
    history.commits[0]["author"] = "renovate[bot]"

    assert history.metric("change_lead_time", ignored_authors=frozenset({"renovate[bot]"}))["n"] == 4


def test_a_rollback_contributes_no_lead_time(history: HistoryBuilder) -> None:
    history.deploy("one", 12, commits=five_commits(12))
    history.deploy("undo", 13, kind="rollback", rollback_of="one", commits=[("ancient", -500)])

    assert history.metric("change_lead_time")["n"] == 5


def test_rolled_back_commits_keep_their_first_live_time(history: HistoryBuilder) -> None:
    history.deploy("base", 5, artifact="sha256:base")
    history.deploy("one", 12, commits=five_commits(12))
    history.deploy("undo", 13, kind="rollback", rollback_of="one", artifact="sha256:base")
    history.deploy("again", 20, commits=five_commits(12))

    first = history.metric("change_lead_time")
    durable = history.metric("time_to_durable_live")

    assert (first["n"], first["value"]) == (5, 3 * DAY)
    assert (durable["n"], durable["value"]) == (5, 11 * DAY)


def test_commits_that_stand_rolled_back_are_not_durable(history: HistoryBuilder) -> None:
    history.deploy("one", 12, commits=five_commits(12))
    history.deploy("undo", 13, kind="rollback", rollback_of="one")

    metric = history.metric("time_to_durable_live")

    assert (metric["n"], metric["value"]) == (0, None)
    assert metric["flags"] == ["5 commits stand rolled back and are not counted"]


def test_a_rollback_over_two_deployments_takes_both_back(history: HistoryBuilder) -> None:
    history.deploy("base", 5, artifact="sha256:base")
    history.deploy("one", 11, commits=[("a", 10)])
    history.deploy("two", 12, commits=[("b", 11)])
    history.deploy("undo", 13, kind="rollback", rollback_of="two", artifact="sha256:base")

    document = history.ask()

    assert document["metrics"]["time_to_durable_live"]["n"] == 0
    assert document["metrics"]["change_fail_rate"]["hits"] == ["two/api"]


def test_a_rollback_that_was_taken_back_takes_nothing_back(history: HistoryBuilder) -> None:
    history.deploy("base", 5, artifact="sha256:base")
    history.deploy("one", 12, artifact="sha256:one", commits=five_commits(12))
    history.deploy("undo", 13, kind="rollback", rollback_of="one", artifact="sha256:base")
    history.deploy("redo", 14, kind="rollback", rollback_of="undo", artifact="sha256:one")

    assert history.metric("time_to_durable_live")["value"] == 3 * DAY


def test_a_configuration_that_was_rolled_back_leaves_its_artifact_live(history: HistoryBuilder) -> None:
    history.deploy("one", 11, artifact="sha256:one", commits=five_commits(11))
    history.deploy("settings", 12, kind="config", artifact="sha256:one")
    history.deploy("undo", 13, kind="rollback", rollback_of="settings", artifact="sha256:one")

    assert history.metric("time_to_durable_live")["n"] == 5


def test_a_revert_and_its_relanding_are_new_commits(history: HistoryBuilder) -> None:
    history.deploy("one", 10, commits=[("feature", 9), ("b", 9), ("c", 9)])
    history.deploy("two", 12, commits=[("revert feature", 11)])
    history.deploy("three", 14, commits=[("feature again", 13)])

    metric = history.metric("change_lead_time")

    assert (metric["n"], metric["value"]) == (5, DAY)


def test_negative_lead_times_are_clamped_and_flagged(history: HistoryBuilder) -> None:
    history.deploy("one", 12, commits=five_commits(12, ages=(-1, 0, 0, 0, 1)))

    metric = history.metric("change_lead_time")

    assert metric["value"] == 0
    assert metric["flags"] == ["clock skew: 1 negative, counted as 0: one/api/c0"]


def test_changes_whose_commits_are_unknown_are_flagged(history: HistoryBuilder) -> None:
    history.deploy("forced", 12)

    assert history.metric("change_lead_time")["flags"] == ["no new commits known, left out: forced/api"]


def test_each_service_has_its_own_first_live_time(history: HistoryBuilder) -> None:
    history.deploy("one", 12, service="api", commits=[("shared", 10)])
    history.deploy("two", 14, service="web", commits=[("shared", 10)])

    assert history.metric("change_lead_time")["n"] == 2
    assert history.metric("change_lead_time", service="web")["rows"] == ["two/web/shared"]


def fail(history: HistoryBuilder, count: int, hours: float = 1) -> None:
    for number in range(count):
        history.deploy(f"bad{number}", 1 + number, result="rolled back", restored_at=text(1 + number + hours / 24))


def test_recovery_runs_from_the_first_traffic_to_the_restoration(history: HistoryBuilder) -> None:
    fail(history, 4)
    history.deploy("slow", 7, started_at=text(3), live_at=text(7.5), result="rolled back", restored_at=text(8))

    metric = history.metric("failed_deployment_recovery_time")

    assert metric["value"] == pytest.approx(3600)
    assert metric["mean"] == pytest.approx((4 * 3600 + DAY) / 5)
    assert metric["band"] == "high"


@pytest.mark.parametrize("kind", ["rollback", "hotfix"])
def test_without_a_recorded_restoration_the_fix_that_went_live_ends_it(history: HistoryBuilder, kind: str) -> None:
    fail(history, 4, hours=48)
    history.deploy("bad", 10)
    history.deploy("failed attempt", 10.5, kind=kind, rollback_of="bad", result="failed")
    history.deploy("fix", 11, kind=kind, rollback_of="bad")

    rows = {row["id"]: row for row in history.ask()["rows"]}

    assert rows["bad/api"]["restored_at"] == "2026-06-12T00:00:00.000000Z"


def test_an_incident_mitigated_without_a_deployment_ends_it(history: HistoryBuilder) -> None:
    history.deploy("bad", 10)
    history.incident("pain", 10.1, "bad", mitigated_at=text(10.5), resolved_at=text(12))

    rows = {row["id"]: row for row in history.ask()["rows"]}

    assert rows["bad/api"]["restored_at"] == "2026-06-11T12:00:00.000000Z"


def test_an_open_failure_is_shown_with_its_age_and_never_dropped(history: HistoryBuilder) -> None:
    fail(history, 4)
    history.deploy("bad", 10)
    history.incident("pain", 10.1, "bad")

    metric = history.metric("failed_deployment_recovery_time", now=20)

    assert metric["n"] == 5
    assert metric["open"] == [{"id": "bad/api", "age_seconds": 10 * DAY}]
    assert metric["mean"] > metric["value"]
    assert metric["flags"] == ["censored: 1 not over yet, counted with the age so far, so the value is a lower bound"]


def test_a_failure_with_one_of_two_incidents_open_is_not_over(history: HistoryBuilder) -> None:
    history.deploy("bad", 10)
    history.incident("pain", 10.1, "bad", mitigated_at=text(10.5))
    history.incident("more", 10.2, "bad")

    metric = history.metric("failed_deployment_recovery_time")

    assert [one["id"] for one in metric["open"]] == ["bad/api"]
