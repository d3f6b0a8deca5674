"""Errors at the door."""

import pytest

from delivery.config_reading import read_configuration
from delivery.errors import (
    ConfigurationError,
    DeliveryError,
    NotFoundError,
    PermanentError,
    Problem,
    TransientError,
    VerificationError,
)
from shipline.cli.errors import ApiError, document_of, exit_code, exit_code_of_state, words_of


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("m"), 2),
        (NotFoundError("m"), 2),
        (TransientError("m"), 3),
        (PermanentError("m"), 3),
        (VerificationError("m"), 1),
        (DeliveryError("m"), 3),
        (ApiError(408, {}), 3),
        (ApiError(409, {}), 4),
        (ApiError(413, {}), 2),
        (ApiError(500, {}), 3),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error: DeliveryError, code: int) -> None:
    assert exit_code(error) == code


def test_states_that_are_no_end_are_no_failure() -> None:
    assert {exit_code_of_state(state) for state in ("Running", "Queued", "Waiting", "RollingOut")} == {0}


def test_words_say_where_what_and_what_next() -> None:
    error = ConfigurationError("reading it: wrong", hint="write it again", where="shipline.yaml:1:2")
    assert words_of(error) == "error: shipline.yaml:1:2: reading it: wrong\nhint: write it again"


def test_problems_keep_their_excerpts_for_people_and_lose_them_for_programs() -> None:
    problem = Problem("unknown key 'stpes'", "did you mean 'steps'", "shipline.yaml:3:1", "stpes:\n^")
    error = ConfigurationError("reading shipline.yaml: 1 problem", problems=(problem,))
    assert words_of(error).splitlines() == [
        "error: reading shipline.yaml: 1 problem",
        "shipline.yaml:3:1: unknown key 'stpes'",
        "stpes:",
        "^",
        "hint: did you mean 'steps'",
    ]
    assert document_of(error)["problems"] == [
        {"where": "shipline.yaml:3:1", "message": "unknown key 'stpes'", "hint": "did you mean 'steps'"}
    ]


def test_each_problem_and_each_hint_is_said_once() -> None:
    problem = Problem("unknown key 'stpes'", "did you mean 'steps'?", "shipline.yaml:3:1")
    error = ConfigurationError(
        "reading shipline.yaml at 4f3a: unknown key 'stpes'",
        hint="did you mean 'steps'?",
        where="shipline.yaml:3:1",
        problems=(problem,),
    )
    assert words_of(error).splitlines() == [
        "error: reading shipline.yaml at 4f3a",
        "shipline.yaml:3:1: unknown key 'stpes'",
        "hint: did you mean 'steps'?",
    ]


def test_a_thousand_problems_are_not_a_thousand_lines() -> None:
    error = ConfigurationError("many", problems=(Problem("one"),) * 1000, more=7)
    assert words_of(error).splitlines() == ["error: many", *["one"] * 10, "and 997 more; see: shipline check"]
    assert (len(document_of(error)["problems"]), document_of(error)["more"]) == (1000, 7)


def test_a_bomb_is_told_in_a_few_lines() -> None:
    bomb = "\n".join(["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)])
    with pytest.raises(ConfigurationError) as refused:
        read_configuration(bomb.encode())
    lines = words_of(refused.value).splitlines()
    assert lines[0] == "error: reading shipline.yaml"
    assert lines[-1] == "and 82 more; see: shipline check"
    assert len(lines) <= 42


def test_an_answer_without_our_error_still_says_its_status() -> None:
    assert words_of(ApiError(502, {})) == "error: the control plane answered 502"
