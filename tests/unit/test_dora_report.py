"""The report as people read it, and the question as they type it."""

from datetime import timedelta

import pytest

from delivery.dora_question import Question, Window, parse_question
from delivery.dora_report import WARNING, markdown, readable
from delivery.errors import ConfigurationError
from tests.fakes.dora_history import HistoryBuilder, day


def report(history: HistoryBuilder) -> str:
    return markdown(history.ask(), "shop")


def test_a_report_warns_against_being_a_target_even_without_data() -> None:
    text = report(HistoryBuilder())

    assert WARNING in text
    assert text.count("insufficient data") == 7
    assert "0.0%" not in text


def test_a_report_shows_values_bands_and_open_failures() -> None:
    history = HistoryBuilder()
    for number in range(6):
        history.deploy(f"p{number}", 5 + number, commits=[(f"c{number}", 4 + number)])
    history.incident("pain", 11, "p5")

    text = report(history)

    assert "| Change lead time | 1.0 d | high | 6 | 1.0 d |" in text
    assert "| Change fail rate | 16.7% | high | 6 |  |" in text
    assert "| p5/api | 2026-06-11T00:00:00.000000Z | open | incident pain |" in text
    assert "all services in production, 2026-06-01 to 2026-06-29 (28 days): 6 deployments." in text


def test_names_cannot_break_out_of_the_table() -> None:
    history = HistoryBuilder()
    history.deploy("p|<script>", 5, result="failed")

    assert r"| p\|&lt;script>/api |" in report(history)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "seconds", "insufficient data"),
        (0.0, "seconds", "0.0 s"),
        (90.0, "seconds", "1.5 min"),
        (172_800.0, "seconds", "2.0 d"),
        (0.155, "ratio", "15.5%"),
        (2.0, "deployments per day", "2.00 deployments per day"),
    ],
)
def test_values_are_readable(value: float | None, unit: str, text: str) -> None:
    assert readable(value, unit) == text


def test_nothing_asked_is_the_last_thirteen_weeks_by_the_2024_edition() -> None:
    assert parse_question({}, day(100)) == Question(Window(day(9), day(100)), edition="2024", variant="default")


def test_everything_asked_is_heard() -> None:
    query = {
        "environment": "eu",
        "service": "api",
        "from": "2026-06-01",
        "to": "2026-06-02T02:00:00+02:00",
        "edition": "2021",
        "variant": "seed-a",
        "timezone": "Europe/Berlin",
    }

    asked = parse_question(query, day(100))

    assert asked == Question(Window(day(0), day(1)), "eu", "api", "2021", "seed-a", "Europe/Berlin")
    assert asked.window.end - asked.window.start == timedelta(days=1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("from", "soon", "'from' must be an RFC 3339 time, got 'soon'"),
        ("edition", "1999", "edition must be one of"),
        ("variant", "mine", "variant must be one of default, seed-a, got 'mine'"),
        ("timezone", "Mars/Olympus", "no time zone is called 'Mars/Olympus'"),
        ("timezone", "../etc", "no time zone is called '../etc'"),
    ],
)
def test_a_question_that_cannot_be_read_says_why(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_question({name: value}, day(0))
