"""One-time codes: once each, around their time, and not by guessing."""

from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from delivery.people.one_time_code import LOCKED, MOST_WRONG, CodeState, enrolment_of, judge_code, new_enrolment

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""Of RFC 6238's test vectors: the ASCII digits 12345678901234567890."""
NOW = datetime(2026, 11, 26, 4, 0, 10, tzinfo=UTC)


def code_at(moment: datetime) -> str:
    return pyotp.TOTP(SECRET).at(moment)


@pytest.mark.parametrize(("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")])
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    at = datetime.fromtimestamp(seconds, UTC)
    assert judge_code(CodeState(), SECRET, code, at)[0].passed


@pytest.mark.parametrize("drift", [-30, 0, 30])
def test_clocks_may_differ_by_one_step(drift: int) -> None:
    assert judge_code(CodeState(), SECRET, code_at(NOW + timedelta(seconds=drift)), NOW)[0].passed


@pytest.mark.parametrize("drift", [-61, 61])
def test_and_no_more(drift: int) -> None:
    verdict, state = judge_code(CodeState(), SECRET, code_at(NOW + timedelta(seconds=drift)), NOW)
    assert verdict.reasons == ("wrong one-time code",)
    assert state.wrong == 1


def test_a_code_counts_once_and_so_do_all_before_it() -> None:
    _, state = judge_code(CodeState(), SECRET, code_at(NOW), NOW)
    verdict, after = judge_code(state, SECRET, code_at(NOW), NOW)
    assert verdict.reasons == ("that code was used already: wait for the next one",)
    earlier, _ = judge_code(state, SECRET, code_at(NOW - timedelta(seconds=30)), NOW)
    assert not earlier.passed
    assert judge_code(after, SECRET, code_at(NOW + timedelta(seconds=30)), NOW + timedelta(seconds=30))[0].passed


def test_after_five_wrong_ones_even_the_right_one_does_not_count_for_a_while() -> None:
    state = CodeState()
    for _ in range(MOST_WRONG):
        verdict, state = judge_code(state, SECRET, "000000", NOW)
        assert not verdict.passed
    verdict, state = judge_code(state, SECRET, code_at(NOW), NOW)
    assert verdict.reasons == ("too many wrong one-time codes: none counts until 04:15:10 UTC",)
    later = NOW + LOCKED
    assert judge_code(state, SECRET, code_at(later), later)[0].passed
    _, again = judge_code(state, SECRET, "000000", later)
    assert (again.wrong, again.locked_until) == (1, None)


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "\uff12\uff18\uff17\uff10\uff18\uff12", "287 082 "])
def test_what_is_no_code_is_wrong_and_spaces_do_not_matter(code: str) -> None:
    verdict, _ = judge_code(CodeState(), SECRET, code, datetime.fromtimestamp(59, UTC))
    assert verdict.passed == (code == "287 082 ")


def test_authenticators_learn_who_and_where() -> None:
    fresh = new_enrolment("alice@example.org")
    assert fresh.uri.startswith("otpauth://totp/Shipline:alice%40example.org?secret=")
    assert len(fresh.secret) >= 32
    assert enrolment_of("alice@example.org", fresh.secret) == fresh
