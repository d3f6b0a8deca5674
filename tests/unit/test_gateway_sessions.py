import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from shipline.web.rates import FailureLimit, neighbourhood
from shipline.web.sessions import SESSION_SECONDS, Session, Sessions


@dataclass
class Seconds:
    """A clock that a test turns."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "sessions.json"


def test_a_session_is_found_by_its_secret_until_it_expires(place: Path, clock: Seconds) -> None:
    sessions = Sessions(place, clock)
    secret = sessions.open("grace")
    assert sessions.find(secret) == Session("grace", 1000.0 + SESSION_SECONDS)
    assert [sessions.find(wrong) for wrong in ("", "x", secret[:-1])] == [None, None, None]
    clock.now += SESSION_SECONDS
    assert sessions.find(secret) is None


def test_a_restart_signs_nobody_out_and_the_file_signs_nobody_in(place: Path, clock: Seconds) -> None:
    secret = Sessions(place, clock).open("grace")
    again = Sessions(place, clock).find(secret)
    assert again == Session("grace", 1000.0 + SESSION_SECONDS)
    assert secret not in place.read_text()
    assert place.stat().st_mode & 0o077 == 0


def test_signing_out_is_for_good(place: Path, clock: Seconds) -> None:
    sessions = Sessions(place, clock)
    secret, other = sessions.open("grace"), sessions.open("grace")
    sessions.close(secret)
    assert [bool(Sessions(place, clock).find(one)) for one in (secret, other)] == [False, True]


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": {"name": "grace"}}'])
def test_a_file_that_cannot_be_read_signs_everybody_out(place: Path, content: str) -> None:
    place.write_text(content)
    assert Sessions(place).find("a") is None


def test_sessions_are_bounded_for_each_and_for_all(place: Path, clock: Seconds) -> None:
    sessions = Sessions(place, clock)
    first, second = sessions.open("grace"), sessions.open("ron")
    for _ in range(25):
        clock.now += 1
        sessions.open("grace")
    assert sessions.find(first) is None
    assert sessions.find(second)
    assert len(json.loads(place.read_text())) == 21


def test_expired_sessions_are_forgotten(place: Path, clock: Seconds) -> None:
    sessions = Sessions(place, clock)
    sessions.open("grace")
    clock.now += SESSION_SECONDS
    sessions.open("ron")
    assert [one["key"] for one in json.loads(place.read_text()).values()] == ["ron"]


def test_failures_are_free_at_first_and_then_cost_time(clock: Seconds) -> None:
    limit = FailureLimit(at_once=3, every_seconds=10, now=clock)
    for _ in range(3):
        assert limit.wait_seconds("a") == 0
        limit.take("a")
    assert (limit.wait_seconds("a"), limit.wait_seconds("b")) == (10, 0)
    clock.now += 10
    assert limit.wait_seconds("a") == 0


def test_what_was_no_failure_is_given_back(clock: Seconds) -> None:
    limit = FailureLimit(at_once=1, every_seconds=10, now=clock)
    limit.take("a")
    limit.give_back("a")
    limit.give_back("a")
    limit.take("a")
    assert limit.wait_seconds("a") == 10


def test_only_so_many_subjects_are_remembered(clock: Seconds) -> None:
    limit = FailureLimit(at_once=1, every_seconds=1e9, now=clock)
    for number in range(10_001):
        limit.take(str(number))
    assert limit.wait_seconds("0") == 0
    assert limit.wait_seconds("10000") > 0


def test_addresses_of_one_network_are_one_person() -> None:
    seen = [neighbourhood(one) for one in ("10.0.0.1", "2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1", "?")]
    assert seen == ["10.0.0.1", "2001:db8::/64", "2001:db8::/64", "2001:db8:0:1::/64", "?"]
