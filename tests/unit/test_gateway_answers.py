import pytest
from pydantic import JsonValue

from shipline.web.answers import CheckedAnswer, check_answer, rejection
from tests.fakes.people import APPROVER, READER, PeopleOfATest

LOOK = PeopleOfATest().look_at_code
KINDS = "an answer has decision, approver, comment, code and nothing else"


def test_an_answer_is_given_in_the_name_of_whoever_is_signed_in() -> None:
    answer: JsonValue = {"decision": "approve", "approver": "somebody else", "comment": "seen in dev"}
    expected = {"decision": "approve", "approver": "grace", "comment": "seen in dev"}
    assert check_answer(APPROVER, answer, LOOK) == CheckedAnswer("", expected)


def test_an_empty_answer_only_looks_again() -> None:
    assert check_answer(APPROVER, {}, LOOK).answer == {"decision": "recheck", "approver": "grace", "comment": ""}


@pytest.mark.parametrize("decision", ["approve", "reject", "recheck"])
def test_whoever_may_not_approve_wakes_nothing(decision: str) -> None:
    assert check_answer(READER, {"decision": decision}, LOOK) == CheckedAnswer("ron may not approve or reject")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, KINDS),
        ([], KINDS),
        ("approve", KINDS),
        ({"decision": "approve", "promotion": "another"}, KINDS),
        ({"__prefect_kind": "json", "value": '{"decision": "approve"}'}, KINDS),
        ({"decision": "yes"}, "decision must be one of approve, reject, recheck, got 'yes'"),
        ({"decision": "Approve"}, "decision must be one of approve, reject, recheck, got 'Approve'"),
        (
            {"decision": {"__prefect_kind": "json", "value": '"approve"'}},
            "decision must be a text of at most 20 characters",
        ),
        (
            {"comment": {"__prefect_kind": "workspace_variable", "variable_name": "v"}},
            "comment must be a text of at most 2000 characters",
        ),
        ({"decision": None}, "decision must be a text of at most 20 characters"),
        ({"comment": "x" * 2001}, "comment must be a text of at most 2000 characters"),
    ],
)
def test_what_is_no_answer_is_refused_with_the_reason(answer: JsonValue, reason: str) -> None:
    """Prefect fills in objects with `__prefect_kind` after we have looked: no value may be one."""
    assert check_answer(APPROVER, answer, LOOK) == CheckedAnswer(reason)


def test_a_wrong_code_is_told_at_once_and_a_right_one_goes_on() -> None:
    people = PeopleOfATest(codes={"grace": "123456"})
    wrong = check_answer(APPROVER, {"decision": "approve", "code": "1"}, people.look_at_code)
    assert wrong == CheckedAnswer("wrong one-time code")
    checked = check_answer(APPROVER, {"decision": "approve", "code": " 123456 "}, people.look_at_code)
    expected = {"decision": "approve", "approver": "grace", "comment": "", "code": "123456"}
    assert checked == CheckedAnswer("", expected)
    assert people.codes == {"grace": "123456"}


def test_a_refused_answer_looks_like_one_that_prefect_refuses() -> None:
    assert rejection("no") == {
        "state": None,
        "status": "REJECT",
        "details": {"type": "reject_details", "reason": "no"},
    }
