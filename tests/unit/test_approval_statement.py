"""What an approver signs says exactly one thing."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from delivery.approval_statement import AHEAD, FRESH, Statement, judge_statement, read_statement
from delivery.artifact import Digest

NOW = datetime(2026, 11, 26, 4, tzinfo=UTC)
DIGEST = Digest("sha256:" + "ab" * 32)
ABOUT = Statement(
    project="shop",
    promotion="p1",
    environment="production",
    candidate=DIGEST,
    release=DIGEST,
    digests={"web": DIGEST},
    configuration=DIGEST,
    migrations=(),
    policy_version=3,
)
EXPECTED = ABOUT.signed_by("alice", "approve", "seen")
SAID = EXPECTED.made(NOW, "n" * 32)


def test_it_survives_being_written_and_read() -> None:
    text = SAID.content().decode()
    assert read_statement(text) == SAID
    assert text.startswith('{"at":"2026-11-26T04:00:00.000000Z","candidate":"sha256:')


def test_what_is_expected_passes() -> None:
    assert judge_statement(SAID, EXPECTED, NOW).passed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("project", "other"),
        ("promotion", "p2"),
        ("environment", "staging"),
        ("candidate", Digest("sha256:" + "cd" * 32)),
        ("release", Digest("sha256:" + "cd" * 32)),
        ("digests", {"web": Digest("sha256:" + "cd" * 32)}),
        ("configuration", Digest("sha256:" + "cd" * 32)),
        ("migrations", ("web:1",)),
        ("policy_version", 4),
        ("decision", "reject"),
        ("comment", "other"),
        ("person", "mallory"),
    ],
)
def test_every_field_counts(field: str, value: object) -> None:
    verdict = judge_statement(replace(SAID, **{field: value}), EXPECTED, NOW)  # type: ignore[arg-type]
    assert verdict.reasons == (f"the statement says another {field.replace('_', ' ')}",)


def test_it_is_fresh() -> None:
    assert judge_statement(SAID, EXPECTED, NOW + FRESH).passed
    assert (
        "longer than 10 minutes ago" in judge_statement(SAID, EXPECTED, NOW + FRESH + timedelta(seconds=1)).reasons[0]
    )
    assert judge_statement(SAID, EXPECTED, NOW - AHEAD).passed
    assert "still to come" in judge_statement(SAID, EXPECTED, NOW - AHEAD - timedelta(seconds=1)).reasons[0]


@pytest.mark.parametrize("at", ["", "yesterday", "2026-11-26T04:00:00", "2026-11-26T05:00:00.000000+01:00"])
def test_times_have_one_form(at: str) -> None:
    assert not judge_statement(replace(SAID, at=at), EXPECTED, NOW).passed


def test_a_nonce_is_long() -> None:
    assert judge_statement(replace(SAID, nonce="short"), EXPECTED, NOW).reasons == (
        "its nonce is shorter than 16 characters",
    )


def test_only_the_canonical_form_is_a_statement() -> None:
    text = SAID.content().decode()
    document = json.loads(text)
    assert read_statement(json.dumps(document)) is None
    assert read_statement(text + "\n") is None
    assert read_statement(text.replace('"person":"alice"', '"person":"mallory","person":"alice"')) is None
    assert read_statement(text.replace("{", '{"aaa":1,', 1)) is None
    assert read_statement(text.replace("shipline-approval/1", "shipline-approval/2")) is None
    assert read_statement("[]") is None
    assert read_statement("") is None
