"""Where a release must have been verified, and for how long."""

from datetime import UTC, datetime, timedelta

import pytest

from delivery.artifact import Digest
from delivery.gates.upstream import Upstream, require_soaked, require_verified_upstream
from delivery.gates.verdict import Verdict
from delivery.promotion import Kind

RELEASE = Digest("sha256:" + "ab" * 32)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEV = Upstream("dev", NOW)


def test_a_release_must_be_verified_in_the_environment_before() -> None:
    verdict = require_verified_upstream(RELEASE, [Upstream("dev")], Kind.CHANGE)
    assert verdict == Verdict("verified upstream", ("release abababababab is not verified in dev",))


@pytest.mark.parametrize(
    ("upstreams", "kind"), [([], Kind.CHANGE), ([DEV], Kind.CHANGE), ([Upstream("dev")], Kind.ROLLBACK)]
)
def test_verified_upstream_passes(upstreams: list[Upstream], kind: Kind) -> None:
    assert require_verified_upstream(RELEASE, upstreams, kind).passed


def test_of_several_upstreams_all_count() -> None:
    eu, us = Upstream("eu", NOW), Upstream("us")
    assert require_verified_upstream(RELEASE, [eu, Upstream("us", NOW)], Kind.CHANGE).passed
    assert require_verified_upstream(RELEASE, [eu, us], Kind.CHANGE) == Verdict(
        "verified upstream", ("release abababababab is not verified in us",)
    )


def test_what_is_on_its_way_in_the_others_waits_for_them() -> None:
    """A release that both of two environments take must not be refused because one of them is quicker."""
    coming = Upstream("us", on_its_way=True)
    assert require_verified_upstream(RELEASE, [Upstream("eu", NOW), coming], Kind.CHANGE) == Verdict(
        "verified upstream",
        ("release abababababab is not verified in us yet",),
        waiting=True,
        unblocked_by="its promotion into us succeeds",
    )
    assert not require_verified_upstream(RELEASE, [coming], Kind.CHANGE).waiting, "nothing is verified anywhere"


def test_any_of_several_upstreams_is_enough_where_that_is_said() -> None:
    eu, us = Upstream("eu"), Upstream("us")
    assert require_verified_upstream(RELEASE, [eu, Upstream("us", NOW)], Kind.CHANGE, one_is_enough=True).passed
    assert require_verified_upstream(RELEASE, [eu, us], Kind.CHANGE, one_is_enough=True) == Verdict(
        "verified upstream", ("release abababababab is verified in none of eu, us",)
    )


def test_a_release_soaks_from_its_verification_on() -> None:
    assert require_soaked([DEV], HOUR, NOW + timedelta(minutes=59), Kind.CHANGE) == Verdict(
        "soaked",
        ("soaks in dev until 2026-11-22T13:00:00Z, 3600 s from 2026-11-22T12:00:00Z",),
        waiting=True,
        until=NOW + HOUR,
        unblocked_by="time",
    )
    assert require_soaked([DEV], HOUR, NOW + HOUR, Kind.CHANGE).passed


def test_a_rollback_does_not_soak_and_what_is_not_verified_is_refused_elsewhere() -> None:
    assert require_soaked([DEV], HOUR, NOW, Kind.ROLLBACK).passed
    assert require_soaked([Upstream("dev")], HOUR, NOW, Kind.CHANGE).passed
    assert require_soaked([], HOUR, NOW, Kind.CHANGE).passed


def test_soaking_counts_from_the_last_of_all_and_from_the_first_of_any() -> None:
    early, late = Upstream("eu", NOW), Upstream("us", NOW + HOUR)
    assert require_soaked([early, late], HOUR, NOW + HOUR, Kind.CHANGE).until == NOW + 2 * HOUR
    assert require_soaked([early, late], HOUR, NOW + HOUR, Kind.CHANGE, one_is_enough=True).passed
    missing = Upstream("asia")
    assert require_soaked([early, missing], HOUR, NOW, Kind.CHANGE, one_is_enough=True).until == NOW + HOUR
