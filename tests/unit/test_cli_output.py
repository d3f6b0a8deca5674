"""What people read."""

import pytest

from shipline.cli.feed import elapsed
from shipline.cli.output import duration, for_terminal, moment, plain, short, table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (80, "1 min 20 s"),
        (3600, "1 h 0 min"),
        (11_100, "3 h 5 min"),
        (187_200, "2 d 4 h"),
        (None, ""),
    ],
)
def test_a_duration_is_said_in_the_two_units_that_matter(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00.123456Z", "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00.5+00:00", "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00+00:00", "2026-03-01T12:00:00Z"),
        (None, ""),
    ],
)
def test_a_time_is_rfc_3339_in_utc_to_the_second(given: str | None, shown: str) -> None:
    assert moment(given) == shown


def test_a_digest_is_shortened_to_its_hex() -> None:
    assert short("sha256:" + "ab" * 32) == "abababababab"
    assert short(None) == ""


def test_control_characters_of_a_commit_message_do_not_reach_the_terminal() -> None:
    assert plain("fix\x1b[2J\r\nit") == "fix [2J  it"


def test_a_table_in_a_pipe_is_never_folded(capsys: pytest.CaptureFixture[str]) -> None:
    table(("NAME", "BECAUSE"), [("api", "x" * 300), ("web", None)])
    assert capsys.readouterr().out.splitlines() == ["NAME  BECAUSE", f"api   {'x' * 300}", "web"]


def test_markup_in_a_cell_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    table(("NAME",), [("[red]api[/red]",)])
    assert capsys.readouterr().out == "NAME\n[red]api[/red]\n"


@pytest.mark.parametrize(
    ("seconds", "expected", "text"),
    [(3.14, 12.0, "3.1 s of about 12.0 s"), (13.0, 12.0, "13.0 s"), (3.0, None, "3.0 s")],
)
def test_what_runs_says_how_long_and_what_is_expected(seconds: float, expected: float | None, text: str) -> None:
    assert elapsed(seconds, expected) == text


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("plain \tä☃", "plain \tä☃"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        ("\x1b[31mred for ever", "\x1b[31mred for ever\x1b[0m"),
        ("\x1b[2J\x1b[Hwiped", "wiped"),
        ("\x1b]0;title\x07\x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\", "here"),
        ("nul \x00 bell \x07 back \x08", "nul � bell � back �"),
        ("\x1bc reset", " reset"),
        ("unfinished \x1b[", "unfinished "),
    ],
)
def test_what_a_step_prints_cannot_change_a_terminal(printed: str, shown: str) -> None:
    assert for_terminal(printed) == shown
