"""Conditions in CEL: what they can say, how what is wrong is told, and that none can hang who asks."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.actor import SHIPLINE, Actor
from delivery.cel import holds, require_expression
from delivery.config_gates import Condition
from delivery.errors import ConfigurationError
from delivery.gates.conditions import FACTS, require_conditions
from delivery.gates.verdict import Verdict
from delivery.promotion import Kind

PERSON = Actor("person", "ada")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)  # a Thursday
FACTS_NOW: dict[str, Any] = {
    "promotion": {"kind": "change", "environment": "production", "requested_at": NOW - timedelta(hours=1)},
    "release": {"version": "1.2.0", "services": ["db", "web"]},
    "changes": [
        {"service": "web", "from": "sha256:a", "to": "sha256:b", "first": False},
        {"service": "db", "from": "", "to": "sha256:c", "first": True},
    ],
    "checks": {"load-test": "passed"},
    "incidents": [],
    "now": NOW,
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('changes.exists(c, c.service == "db")', True),
        ("changes.all(c, c.first)", False),
        ('changes.filter(c, c.first).map(c, c.service) == ["db"]', True),
        ("size(changes) <= 5 && size(incidents) == 0", True),
        ('now.getDayOfWeek("Europe/Berlin") in [1, 2, 3, 4]', True),
        ('now.getHours("Europe/Berlin") == 13', True),
        ('now - promotion.requested_at > duration("30m")', True),
        ('"load-test" in checks && checks["load-test"] == "passed"', True),
        ("has(checks.scan)", False),
        ('release.version.matches("^[0-9]+[.]")', True),
        ('release.version.startsWith("2")', False),
        ('promotion.kind == "hotfix" ? true : promotion.environment != "production"', False),
        ("true || 1 / 0 == 1", True),
        ("changes.all(c, release.services.exists(s, s == c.service))", True),
    ],
)
def test_a_condition_is_true_or_false_of_facts(expression: str, expected: bool) -> None:  # noqa: FBT001
    assert holds(expression, FACTS_NOW) is expected


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("1 +", "it is no CEL expression: something is missing or wrong at character 3"),
        ("", "it is no CEL expression: something is missing or wrong at character 1"),
        ("true\n&& ]", "it is no CEL expression: something is missing or wrong of line 2"),
        ('relase.version == "1"', "there is no 'relase', at character 1"),
        ("true || foo", "there is no 'foo', at character 9"),
        ("changes.all(c, d.first)", "there is no 'd', at character 16"),
        ("open('/etc/passwd')", "there is no function 'open', at character 1"),
        ("changes.reduce(r, i, 0, r + i) > 1", "there is no function 'reduce', at character 9"),
        ("changes.map(c)", "'map' takes a variable and an expression, at character 9"),
        ("changes.map(c.d, c)", "'map' takes a variable and an expression, at character 9"),
        ("Foo{a: 1}", "messages are not supported, at character 1"),
        (
            "changes.map(a, changes.map(b, changes.map(c, c))) == []",
            "more than 2 macros stand in each other, at character 39",
        ),
        ("(" * 40 + "true" + ")" * 40, "it is nested too deeply"),
        ("true " + "|| true" * 300, "it has 2105 characters, more than 2000"),
    ],
)
def test_what_is_wrong_is_told_before_it_is_ever_evaluated(expression: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        require_expression(expression, FACTS)
    assert caught.value.message == problem


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("size(changes)", "it gives int, and must give true or false"),
        ('checks["scan"] == "passed"', "no such key"),
        ("promotion.nope", "no such member in mapping: 'nope'"),
        ("1 / 0 == 1", "modulus or divide by zero"),
        ('release.version + 1 == "a"', "found no matching overload for addition_add applied to '(string, int)'"),
        ('release.version.matches("(")', "'(' is no RE2 expression"),
        ("changes[5].first", "invalid_argument"),
    ],
)
def test_what_goes_wrong_while_it_is_evaluated_is_told(expression: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        holds(expression, FACTS_NOW)
    assert caught.value.message == problem


def outcome(expression: str) -> str:
    """What comes of an expression, as a text; anything but a ConfigurationError is raised."""
    try:
        return str(holds(expression, FACTS_NOW))
    except ConfigurationError as error:
        return error.message


ONES = ",".join(["1"] * 400)
HUNGRY = {
    "every pair": f"[{ONES}].all(a, [{ONES}].all(b, a + b > 0))",
    "pairs of lists": f"[{ONES}].map(a, [{ONES}].map(b, [b, a])) == []",
    "texts of texts": f"['{'x' * 900}'].map(a, [{'+'.join(['a'] * 90)}].map(b, size({'+'.join(['b'] * 90)}))) == []",
    "lists of lists": (
        f"[{','.join(['[1]'] * 100)}].map(a, [{','.join(['a'] * 300)}].map(b, "
        f"[{','.join(['b'] * 200)}] == [{','.join(['b'] * 100)}])) == []"
    ),
    "repetitions": "'" + "a" * 500 + "'.matches('(a*)*(a*)*(a*)*b')",
}


@pytest.mark.parametrize("expression", HUNGRY.values(), ids=list(HUNGRY))
def test_no_expression_takes_more_than_a_moment(expression: str) -> None:
    began = time.process_time()
    assert outcome(expression) in {
        "False",
        "it takes more to evaluate than an expression may",
        "it is nested too deeply",
    }
    assert time.process_time() - began < 5


PIECES = st.sampled_from(
    [
        "changes",
        "c",
        "now",
        "(",
        ")",
        "[",
        "]",
        ".all(c,",
        ".map(c,",
        "&&",
        "||",
        "!",
        "==",
        "+",
        "1",
        '"a"',
        ".",
        ",",
        "?",
        ":",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=25).map(" ".join))
def test_nothing_but_a_configuration_error_ever_comes_of_an_expression(expression: str) -> None:
    assert outcome(expression)


def test_reading_a_configuration_without_conditions_imports_no_cel() -> None:
    """Every command reads configurations; a fifth of a second more would be felt."""
    program = "import sys, delivery.config_reading, delivery.promoting.judging; print('celpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-Ic", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def condition(cel: str, otherwise: str = "refuse") -> Condition:
    return Condition.model_validate(
        {"name": "office hours", "cel": cel, "because": "nobody is there", "otherwise": otherwise}
    )


def test_a_false_condition_refuses_with_what_it_says_or_waits() -> None:
    reason = ("condition 'office hours': nobody is there",)
    assert require_conditions([condition("true")], FACTS_NOW, PERSON, Kind.CHANGE) == Verdict("conditions")
    assert require_conditions([condition("false")], FACTS_NOW, PERSON, Kind.CHANGE) == Verdict("conditions", reason)
    waiting = require_conditions([condition("false", "wait")], FACTS_NOW, PERSON, Kind.CHANGE)
    assert (waiting.reasons, waiting.waiting) == (reason, True)
    both = [condition("false", "wait"), condition("false")]
    assert require_conditions(both, FACTS_NOW, PERSON, Kind.CHANGE) == Verdict("conditions", reason)


def test_a_condition_that_fails_refuses_whatever_it_says_of_waiting() -> None:
    failing = condition('checks["scan"] == "passed"', "wait")
    assert require_conditions([failing], FACTS_NOW, PERSON, Kind.CHANGE) == Verdict(
        "conditions", ("condition 'office hours' cannot be evaluated: no such key",)
    )


def test_the_way_back_of_a_failed_rollout_is_asked_nothing() -> None:
    assert require_conditions([condition("false")], {}, SHIPLINE, Kind.ROLLBACK).passed
    assert not require_conditions([condition("false")], FACTS_NOW, PERSON, Kind.ROLLBACK).passed
