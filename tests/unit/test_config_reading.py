"""Reading `shipline.yaml`: what a person gets to see for every way a file can be wrong."""

import json
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.config import Configuration
from delivery.config_reading import problems_as_text, read_configuration
from delivery.errors import ConfigurationError, Problem

SMALL = """\
version: 1
services:
  web:
    paths: [web]
    build: {command: make}
    run: {command: [./serve, "{port}"], port: 8101}
steps:
  unit: {command: make test}
environments:
  dev: {}
"""


def refusal(text: str | bytes) -> ConfigurationError:
    content = text if isinstance(text, bytes) else dedent(text).encode()
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(content)
    return caught.value


def shown(text: str | bytes) -> str:
    return problems_as_text(refusal(text).problems)


def problems_of(content: bytes) -> tuple[Problem, ...]:
    """None when it can be read; anything but a ConfigurationError fails the test."""
    try:
        read_configuration(content)
    except ConfigurationError as error:
        return error.problems
    return ()


def test_a_good_file_gives_typed_values() -> None:
    configuration = read_configuration(SMALL.encode())
    assert configuration.services["web"].run.command == ["./serve", "{port}"]
    assert configuration.services["web"].run.port == 8101
    assert configuration.environments["dev"].watch_seconds == 90


def test_a_library_needs_no_service() -> None:
    configuration = read_configuration(b"version: 1\nsteps: {unit: {command: make test}}\n")
    assert configuration.services == {}


def test_a_byte_order_mark_is_no_problem() -> None:
    assert read_configuration(b"\xef\xbb\xbf" + SMALL.encode()) == read_configuration(SMALL.encode())


def test_words_that_old_yaml_takes_for_booleans_are_texts() -> None:
    content = b"version: 1\nsteps: {a: {command: yes, retry: {on: [timeout]}, environment: {A: on, B: 2026-01-01}}}"
    step = read_configuration(content).steps["a"]
    assert (step.command, step.retry.on, step.environment) == ("yes", ["timeout"], {"A": "on", "B": "2026-01-01"})


def test_an_unknown_key_is_shown_with_a_caret_and_a_guess() -> None:
    text = """\
        version: 1
        steps:
          unit:
            comand: pytest
        """
    assert shown(text) == dedent("""\
        shipline.yaml:4:5: unknown key 'comand' in steps.unit
                comand: pytest
                ^
          hint: did you mean 'command'?""")


def test_every_problem_is_told_in_one_go_in_order_of_place() -> None:
    text = """\
        version: 1
        servces: {}
        steps:
          unit:
            command: 3
            needs: lint
            timeout_seconds: "10"
            per: servce
          lint: {command: ok, needs: [unti]}
        environments:
          dev: {tier: prod, watch_seconds: -1, approvals: {count: 1.5}}
        """
    error = refusal(text)
    assert [(one.where, one.message, one.hint) for one in error.problems] == [
        ("shipline.yaml:2:1", "unknown key 'servces'", "did you mean 'services'?"),
        (
            "shipline.yaml:5:14",
            "steps.unit.command must be a text or a list of texts, got the number 3",
            "put it in quotes",
        ),
        ("shipline.yaml:6:12", "steps.unit.needs must be a list of texts, got the text 'lint'", "write [lint]"),
        (
            "shipline.yaml:7:22",
            "steps.unit.timeout_seconds must be a number, got the text '10'",
            "write 10 without quotes",
        ),
        (
            "shipline.yaml:8:10",
            "steps.unit.per must be 'repository' or 'service', got the text 'servce'",
            "did you mean 'service'?",
        ),
        ("shipline.yaml:9:31", "steps.lint.needs names step 'unti', which does not exist", "did you mean 'unit'?"),
        (
            "shipline.yaml:10:1",
            "there are environments, but no service to run in them",
            "remove 'environments', or declare a service",
        ),
        (
            "shipline.yaml:11:15",
            "environments.dev.tier must be 'development', 'testing', 'staging' or 'production', got the text 'prod'",
            "did you mean 'production'?",
        ),
        ("shipline.yaml:11:36", "environments.dev.watch_seconds must be at least 0, got -1", ""),
        (
            "shipline.yaml:11:59",
            "environments.dev.approvals.count must be a whole number, got the number 1.5",
            "",
        ),
    ]
    assert error.message == "reading shipline.yaml: unknown key 'servces' (and 9 more)"
    assert (error.where, error.hint) == ("shipline.yaml:2:1", "did you mean 'services'?")


def step(value: str) -> str:
    return f"version: 1\nsteps: {{unit: {value}}}\n"


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ("steps: {}", "missing key 'version'", "add 'version: 1' at the top"),
        ("version: 2", "version must be 1, got the number 2", ""),
        ("version: 1\nsteps: [a]", "steps must be a section of names and their values, got a list", ""),
        (step("{}"), "missing key 'command' in steps.unit", ""),
        (step("make"), "steps.unit must be a section with command, needs, per, services, got the text 'make'", ""),
        (step("{command: []}"), "steps.unit.command must not be empty", ""),
        (step("{command: [a, true]}"), "steps.unit.command[1] must be a text, got true", "put it in quotes"),
        (
            step("{command: a, reuse: 'yes'}"),
            "steps.unit.reuse must be true or false, got the text 'yes'",
            "write true or false, without quotes",
        ),
        (
            step("{command: a, environment: {PORT: 80}}"),
            "steps.unit.environment.PORT must be a text, got the number 80",
            "put it in quotes",
        ),
        (
            step("{command: a, environment: {1X: a}}"),
            "'1X' in steps.unit.environment is not the name of a variable",
            "use letters, digits and '_', and no digit first",
        ),
        (step("{command: a, retry: {attempts: 9}}"), "steps.unit.retry.attempts must be at most 5, got 9", ""),
        (step("{command: a, timeout_seconds: 0}"), "steps.unit.timeout_seconds must be more than 0, got 0", ""),
        (
            step("{command: a, needs: [Unit Tests]}"),
            "steps.unit.needs[0] must be a name, got 'Unit Tests'",
            "use lower-case letters, digits and inner hyphens, at most 40, for instance 'unit-tests'",
        ),
        (
            "version: 1\nsteps: {Unit Tests: {command: a}}",
            "'Unit Tests' in steps is not a name",
            "use lower-case letters, digits and inner hyphens, at most 40, for instance 'unit-tests'",
        ),
        (step("{command: a, inputs: ['']}"), "steps.unit.inputs[0] must not be empty", ""),
        (step(f"{{command: a, inputs: [{'a' * 301}]}}"), "steps.unit.inputs[0] must not be longer than 300", ""),
        (
            step("{command: a, x: 1}"),
            "unknown key 'x' in steps.unit",
            (
                "known: command, environment, fixtures, inputs, needs, outputs, per, reports, retry, reuse, secrets, "
                "services, timeout_seconds, tools"
            ),
        ),
        (
            "version: 1\nproject: My Shop",
            "project must be a name, got 'My Shop'",
            "use lower-case letters, digits and inner hyphens, at most 40, for instance 'my-shop'",
        ),
    ],
)
def test_wrong_values_are_told_in_plain_words(text: str, sentence: str, hint: str) -> None:
    (problem,) = refusal(text).problems
    assert (problem.message, problem.hint) == (sentence, hint)


def test_what_the_text_may_not_say_hides_no_other_problem() -> None:
    text = """\
        version: 1
        steps: &all
          unit: {comand: pytest, timeout_seconds: 1e999}
          lint: {command: ruff, needs: [unti]}
          lint: {comand: ruff}
          slow: {command: !!str x, per: servce}
        steps: {more: {}}
        """
    assert [(one.where, one.message) for one in refusal(text).problems] == [
        ("shipline.yaml:3:10", "unknown key 'comand' in steps.unit"),
        ("shipline.yaml:3:43", "number 1e999 is too large"),
        ("shipline.yaml:4:33", "steps.lint.needs names step 'unti', which does not exist"),
        ("shipline.yaml:5:3", "duplicate key 'lint', first given on line 4"),
        ("shipline.yaml:6:19", "tag '!!str' is not supported"),
        ("shipline.yaml:6:33", "steps.slow.per must be 'repository' or 'service', got the text 'servce'"),
        ("shipline.yaml:7:1", "duplicate key 'steps', first given on line 2"),
    ]


def test_what_an_alias_stands_for_is_not_missed() -> None:
    text = """\
        version: 1
        steps:
          unit: &unit {command: pytest}
          copy: *unit
          merged: {<<: *unit, command: x}
          lint: {command: ruff, needs: [copy, unti]}
        """
    assert [(one.where, one.message) for one in refusal(text).problems] == [
        ("shipline.yaml:4:9", "alias '*unit' is not supported"),
        ("shipline.yaml:5:16", "alias '*unit' is not supported"),
    ]


def test_a_secret_is_not_shown_by_a_fault_on_its_line() -> None:
    error = refusal(step("{command: a, secrets: {TOKEN: hunter2}, command: b}"))
    assert [one.message.split(",")[0] for one in error.problems] == [
        "steps.unit.secrets.TOKEN must be a reference like 'secret:NAME'",
        "duplicate key 'command'",
    ]
    assert "hunter2" not in problems_as_text(error.problems)


def test_known_keys_are_listed_when_none_is_close_and_they_are_few() -> None:
    assert refusal(step("{command: a, reports: {foo: []}}")).hint == "known: coverage, junit, minimum_coverage"


def test_a_secret_written_into_the_file_is_shown_to_nobody() -> None:
    error = refusal(step("{command: a, secrets: {TOKEN: hunter2}}"))
    assert "hunter2" not in problems_as_text(error.problems) + str(error)
    assert error.problems == (
        Problem(
            "steps.unit.secrets.TOKEN must be a reference like 'secret:NAME'",
            "set the value with `shipline secret set NAME`",
            "shipline.yaml:2:45",
            f"steps: {{unit: {{command: a, secrets: {{TOKEN: ***\n{' ' * 44}^",
        ),
    )


def test_a_secret_is_not_shown_by_its_neighbours_either() -> None:
    error = refusal(step("{command: a, secrets: {TOKEN: hunter2}, nope: 1, comand: x}"))
    assert len(error.problems) == 3
    assert "hunter2" not in problems_as_text(error.problems)


def test_only_the_first_fifty_problems_are_shown_in_full() -> None:
    text = "version: 1\n" + "".join(f"key{number}: 1\n" for number in range(60))
    error = refusal(text)
    assert (len(error.problems), error.more) == (50, 10)


def test_a_long_line_is_cut_around_the_caret() -> None:
    line = "steps: {unit: {command: a, needs: [" + "unit, " * 200 + "lint]}}"
    first, second = refusal(f"version: 1\n{line}").problems[-1].excerpt.splitlines()
    assert len(first) == 57
    assert first[second.index("^") :] == "lint]}}"


def test_the_caret_stands_under_wide_characters_too() -> None:
    (problem,) = refusal('version: 1\n"日本": 1').problems
    assert problem.excerpt == '"日本": 1\n^'
    (problem,) = refusal("version: 1\nsteps: {unit: {command: 日本, nope: 1}}").problems
    assert problem.excerpt.splitlines()[1] == " " * 30 + "^"


def test_problems_without_a_place_are_just_sentences() -> None:
    assert problems_as_text([Problem("it is wrong", "do it right")]) == "it is wrong\n  hint: do it right"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    assert all(problem.where for problem in problems_of(content))


FRAGMENTS = st.sampled_from(
    [*"{}[]:,-?|>'\"&*!%@`#~ \t\n", "version: 1\n", "steps:", "services:", "\n  ", "&a ", "*a", "secret:", "1", "null"]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(FRAGMENTS, max_size=40))
def test_any_yaml_like_text_is_read_or_refused(fragments: list[str]) -> None:
    problems = problems_of("".join(fragments).encode())
    assert all(problem.where.startswith("shipline.yaml:") for problem in problems)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just("web"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["version", "services", "steps", "web", "paths", "command", "needs", "run", "smoke", "after"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(list(Configuration.model_fields)), JSON, max_size=6))
def test_any_wrong_document_is_refused_with_a_place_in_it(document: dict[str, object]) -> None:
    text = json.dumps({"version": 1, **document}, ensure_ascii=False)
    assert all(problem.message for problem in problems_of(text.encode("utf-8", "replace")))
