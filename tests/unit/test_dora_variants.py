"""The source system's own definitions, the editions' bands, and the shape of the answer."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from delivery.dora_bands import DAY, HOUR, MONTH, WEEK, Edition, Measure, band, parse_edition, survey_answer
from delivery.dora_question import Window, parse_variant
from delivery.dora_rows import read_history
from delivery.errors import ConfigurationError, VerificationError
from tests.fakes.dora_history import HistoryBuilder, day, text

DEPLOYMENT = {"id": "p/api", "promotion": "p", "service": "api", "environment": "production", "tier": "production"}


def busy() -> HistoryBuilder:
    history = HistoryBuilder()
    for number in range(5):
        at = 5 + number
        history.deploy(f"p{number}", at, commits=[(f"late{number}", at - 0.01), (f"early{number}", at - 0.02)])
    history.deploy("undo", 11, kind="rollback", rollback_of="p4", caused_by_incident="pain")
    history.incident("pain", 10, "p4", mitigated_at=text(10.5), resolved_at=text(11))
    return history


def test_seed_a_measures_from_the_first_commit_of_each_deployment() -> None:
    metric = busy().metric("change_lead_time", variant="seed-a")

    assert metric["n"] == 5
    assert metric["value"] == pytest.approx(0.02 * DAY)
    assert (metric["target"], metric["target_met"]) == ("< 1 hour", True)


def test_seed_a_counts_deployments_a_week() -> None:
    metric = busy().metric("deployment_frequency", variant="seed-a")

    assert (metric["value"], metric["unit"]) == (pytest.approx(5 / 4), "deployments per week")
    assert metric["target_met"] is False


def test_seed_a_divides_rollbacks_by_all_deployments() -> None:
    metric = busy().metric("change_fail_rate", variant="seed-a")

    assert metric["value"] == pytest.approx(1 / 6)
    assert metric["hits"] == ["undo/api"]


def test_seed_a_does_not_take_a_history_that_tells_nothing_for_one_without_rollbacks() -> None:
    history = HistoryBuilder()
    for number in range(6):
        history.deploy(f"imported{number}", 1 + number, result=None)

    metric = history.metric("change_fail_rate", variant="seed-a")

    assert (metric["value"], metric["band"], metric["n"], metric["target_met"]) == (None, "unknown", 6, None)


def test_seed_a_measures_incidents_from_opened_to_resolved() -> None:
    history = busy()
    for number in range(4):
        history.incident(f"more{number}", 12, "p3", resolved_at=text(12.5))

    document = history.ask(variant="seed-a")
    metric = document["metrics"]["failed_deployment_recovery_time"]

    assert metric["value"] == DAY / 2
    assert metric["n"] == 5
    assert {row["id"] for row in document["rows"]} > {"pain", "more0"}


def test_seed_a_does_not_know_whether_a_target_without_data_is_met() -> None:
    assert HistoryBuilder().metric("change_fail_rate", variant="seed-a")["target_met"] is None


def test_incidents_are_narrowed_by_the_services_of_what_caused_them() -> None:
    history = HistoryBuilder()
    history.deploy("p", 2, service="web")
    history.incident("pain", 3, "p")

    def shown(service: str | None) -> list[str]:
        rows: list[str] = history.metric("failed_deployment_recovery_time", variant="seed-a", service=service)["rows"]
        return rows

    assert shown(None) == shown("web") == ["pain"]
    assert shown("api") == []


@pytest.mark.parametrize(
    ("edition", "measure", "value", "label"),
    [
        ("2024", "lead time", DAY - 1, "elite"),
        ("2024", "lead time", DAY, "high"),
        ("2024", "lead time", WEEK, "medium"),
        ("2024", "lead time", MONTH, "low"),
        ("2024", "recovery", HOUR - 1, "elite"),
        ("2024", "recovery", HOUR, "high"),
        ("2024", "recovery", DAY, "low"),
        ("2024", "frequency", 1.01, "elite"),
        ("2024", "frequency", 1, "high"),
        ("2024", "frequency", 13 / 91, "high"),
        ("2024", "frequency", 1 / 8, "medium"),
        ("2024", "frequency", 1 / 31, "low"),
        ("2024", "change fail rate", 0.05, "elite"),
        ("2024", "change fail rate", 0.10, "medium"),
        ("2024", "change fail rate", 0.20, "high"),
        ("2024", "change fail rate", 0.21, "low"),
        ("2023", "change fail rate", 0.12, "medium"),
        ("2021", "change fail rate", 0.15, "elite"),
        ("2021", "lead time", HOUR, "high"),
        ("2021", "frequency", 1 / 40, "medium"),
        ("2025", "lead time", 1, "no band"),
    ],
)
def test_bands_follow_their_edition(edition: Edition, measure: Measure, value: float, label: str) -> None:
    assert band(edition, measure, value) == label


@pytest.mark.parametrize(("edition", "flags"), [("2024", 1), ("2021", 0)])
def test_a_label_from_clusters_that_are_not_monotone_says_so(edition: Edition, flags: int) -> None:
    metric = busy().metric("change_fail_rate", edition=edition)

    assert metric["value"] == pytest.approx(1 / 5)
    assert (metric["band"], len(metric["flags"])) == ("high", flags)


@pytest.mark.parametrize(
    ("measure", "value", "answer"),
    [
        ("recovery", 60, "less than one hour"),
        ("lead time", 7 * MONTH, "more than six months"),
        ("frequency", 30, "on demand (multiple deploys per day)"),
        ("frequency", 2, "between once per hour and once per day"),
        ("frequency", 0.001, "fewer than once every six months"),
        ("change fail rate", 0.1, None),
    ],
)
def test_survey_answers(measure: Measure, value: float, answer: str | None) -> None:
    assert survey_answer(measure, value) == answer


def test_the_answer_has_the_documented_fields_and_every_row_is_there() -> None:
    document = busy().ask()

    assert list(document) == ["window", "edition", "variant", "n", "metrics", "rows"]
    assert document["n"] == 6
    assert set(document["metrics"]) == {
        "change_lead_time",
        "deployment_frequency",
        "failed_deployment_recovery_time",
        "change_fail_rate",
        "deployment_rework_rate",
        "pipeline_failure_rate",
        "time_to_durable_live",
    }
    named = {row for metric in document["metrics"].values() for row in metric["rows"]}
    assert {row["id"] for row in document["rows"]} == named
    for metric in document["metrics"].values():
        assert {"value", "unit", "n", "band", "rows", "flags"} <= set(metric)
        assert len(metric["rows"]) == metric["n"]


def test_times_are_utc_with_z() -> None:
    document = busy().ask()

    moments = [value for row in document["rows"] for name, value in row.items() if name.endswith("_at") and value]
    moments += [document["window"]["from"], document["window"]["to"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", moment) for moment in moments)


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="must end after it starts"):
        Window(day(2), day(2))


@pytest.mark.parametrize("parse", [parse_edition, parse_variant])
def test_unknown_names_say_what_there_is(parse: Callable[[str], object]) -> None:
    with pytest.raises(ConfigurationError, match=r"must be one of .*got '2019'"):
        parse("2019")


def test_a_history_that_only_knows_when_it_was_live_was_exposed_then() -> None:
    row = read_history([{**DEPLOYMENT, "live_at": "2026-06-01T02:00:00+02:00", "kind": "hotfix"}], [], []).deployments[
        0
    ]

    assert (row.exposed_at, row.planned) == (day(0), False)


def test_what_an_import_leaves_open_follows_from_the_rest() -> None:
    deployment = {**DEPLOYMENT, "tier": None, "planned": None, "kind": None, "live_at": text(1)}
    commit = {"deployment": "p/api", "id": "c", "committed_at": text(0), "parents": None}
    incident = {"id": "i", "opened_at": text(2), "caused_by": "p"}
    history = HistoryBuilder()
    history.deployments, history.commits, history.incidents = [deployment], [commit], [incident]

    row = history.history().deployments[0]

    assert (row.tier, row.planned, row.kind) == ("production", True, "change")
    assert history.history().commits[0].parents == 1
    assert history.metric("failed_deployment_recovery_time", variant="seed-a", service="api")["rows"] == ["i"]


@pytest.mark.parametrize(("given", "blamed"), [({"service": "web"}, False), ({"services": ["web", "api"]}, True)])
def test_an_incident_blames_the_services_that_it_names(given: dict[str, Any], blamed: bool) -> None:  # noqa: FBT001  # a case
    history = HistoryBuilder()
    history.deploy("p", 1)
    history.incident("pain", 2, "p", **given)

    assert history.metric("change_fail_rate")["count"] == int(blamed)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("live_at", "yesterday", "live_at must be an RFC 3339 time, got 'yesterday'"),
        ("live_at", "2026-06-01T00:00:00", "live_at must have a time zone"),
        ("kind", "oops", "kind must be one of change, rollback"),
        ("service", None, "service is missing"),
    ],
)
def test_rows_that_cannot_be_read_say_which_and_why(field: str, value: str | None, message: str) -> None:
    with pytest.raises(VerificationError, match=f"reading row 'p/api' for the DORA metrics: {message}"):
        read_history([{**DEPLOYMENT, field: value}], [], [])
