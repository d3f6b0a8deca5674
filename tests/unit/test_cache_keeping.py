"""What of the cache may go: what releases need, what runs reuse and what was just used never does."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.artifact import Digest, digest_of
from delivery.caching.keeping import GRACE, Holdings, Keep, choose_removal, read_keep
from delivery.caching.measuring import measure_use
from delivery.errors import ConfigurationError
from delivery.ports import KeptBlob, KeptResult, Row

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OLD = NOW - timedelta(days=10)


def digest(name: str) -> Digest:
    return digest_of(name.encode())


def result(name: str, *blobs: str, days: float = 10, size: int = 0) -> KeptResult:
    return KeptResult(digest(name), tuple(map(digest, blobs)), size, NOW - timedelta(days=days))


def blob(name: str, size: int = 100, days: float = 10) -> KeptBlob:
    return KeptBlob(digest(name), size, NOW - timedelta(days=days))


def holdings(
    results: list[KeptResult], blobs: list[KeptBlob], needed: tuple[str, ...] = (), under_way: tuple[str, ...] = ()
) -> Holdings:
    wanted = frozenset(map(digest, needed)), frozenset(map(digest, under_way))
    return Holdings(tuple(results), tuple(blobs), *wanted, seen_at=NOW)


def gone(seen: Holdings, keep: Keep) -> tuple[set[Digest], set[Digest]]:
    removal = choose_removal(seen, keep)
    return {one.key for one in removal.results}, {one.digest for one in removal.blobs}


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        ("2GB", Keep(size=2_000_000_000)),
        ("1.5 mb", Keep(size=1_500_000)),
        ("0", Keep(size=0)),
        ("30d", Keep(age=timedelta(days=30))),
        ("0.5D", Keep(age=timedelta(hours=12))),
    ],
)
def test_keep_is_a_size_or_days(text: str, keep: Keep) -> None:
    assert read_keep(text) == keep


@pytest.mark.parametrize("text", ["", "much", "-1GB", "2XB", "1e3", "٣d", "99999999d", "2 G B"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="that is neither a size nor an age"):
        read_keep(text)


def test_by_age_the_old_go_with_the_blobs_that_nothing_else_names() -> None:
    seen = holdings(
        [result("old", "a", "shared"), result("new", "b", "shared", days=1)], [blob("a"), blob("b"), blob("shared")]
    )
    assert gone(seen, Keep(age=timedelta(days=5))) == ({digest("old")}, {digest("a")})


def test_by_size_the_newest_stay_as_far_as_they_fit_and_a_shared_blob_counts_once() -> None:
    results = [result("1", "a", "s", days=1), result("2", "b", "s", days=2), result("3", "c", days=3)]
    seen = holdings(results, [blob("a"), blob("b"), blob("c"), blob("s")])
    assert gone(seen, Keep(size=300)) == ({digest("3")}, {digest("c")})
    assert gone(seen, Keep(size=200)) == ({digest("2"), digest("3")}, {digest("b"), digest("c")})
    assert gone(seen, Keep(size=400)) == (set(), set())


def test_what_a_release_needs_stays_whatever_is_asked_for_and_counts() -> None:
    seen = holdings([result("1", "a"), result("2", "release")], [blob("a"), blob("release")], needed=("release",))
    assert gone(seen, Keep(size=0)) == ({digest("1"), digest("2")}, {digest("a")})
    assert gone(seen, Keep(size=100)) == ({digest("1")}, {digest("a")})
    assert gone(seen, Keep(size=200)) == (set(), set())


def test_what_a_run_under_way_reuses_and_what_was_just_used_stays() -> None:
    hour = GRACE / timedelta(days=1)
    seen = holdings(
        [result("planned", "a"), result("fresh", "b", days=hour / 2), result("old", "c")],
        [blob("a"), blob("b"), blob("c"), blob("fresh orphan", days=hour / 2), blob("orphan")],
        under_way=("planned",),
    )
    assert gone(seen, Keep(size=0)) == ({digest("old")}, {digest("c"), digest("orphan")})


NAMES = st.sampled_from("abcdef")
AGES = st.floats(0, 40)
RESULTS = st.lists(
    st.builds(
        lambda name, blobs, days: result(name, *blobs, days=days, size=10), NAMES, st.lists(NAMES, max_size=3), AGES
    ),
    unique_by=lambda one: one.key,
)
BLOBS = st.lists(st.builds(blob, NAMES, st.integers(0, 500), AGES), unique_by=lambda one: one.digest)
KEEPS = st.one_of(
    st.builds(lambda size: Keep(size=size), st.integers(0, 2000)),
    st.builds(lambda days: Keep(age=timedelta(days=days)), st.integers(0, 40)),
)


@given(RESULTS, BLOBS, st.lists(NAMES), st.lists(NAMES), KEEPS)
def test_nothing_goes_that_anything_which_stays_counts_on(
    results: list[KeptResult], blobs: list[KeptBlob], needed: list[str], under_way: list[str], keep: Keep
) -> None:
    seen = holdings(results, blobs, tuple(needed), tuple(under_way))
    removal = choose_removal(seen, keep)
    staying = {*seen.results} - {*removal.results}
    taken = {one.digest for one in removal.blobs}
    assert not taken & seen.needed
    assert not taken & {blob for one in staying for blob in one.blobs}
    assert not {one.key for one in removal.results} & seen.under_way
    assert all(one.used_at <= NOW - GRACE for one in removal.results)
    assert all(one.used_at <= NOW - GRACE for one in removal.blobs)


def test_use_counts_what_was_executed_and_reused_and_nothing_else() -> None:
    states = ["Completed", "Failed", "Errored", "Cached", "Skipped", "Cancelled", "Running"]
    steps: list[Row] = [
        {"state": state, "seconds": 2.0, "saved_seconds": 7.5 * (state == "Cached")} for state in states
    ]
    assert measure_use(steps) == {
        "executed": 3,
        "reused": 1,
        "hit_rate": 0.25,
        "executed_seconds": 6.0,
        "saved_seconds": 7.5,
    }
    assert measure_use([])["hit_rate"] is None
