import pytest

from delivery.baseline import Baseline, change_set, choose_baseline
from delivery.errors import NotFoundError, TransientError
from delivery.source import ChangeKind, Revision
from tests.fakes.source_repository import InMemorySource


@pytest.fixture
def source() -> InMemorySource:
    """main: one - two - three; topic: two - side; elsewhere on its own; gone: what main was before a forced push."""
    made = InMemorySource()
    one = made.commit({"a": "1"})
    two = made.commit({"a": "2"})
    made.commit({"b": "1"}, branch="topic", parents=[two])
    made.commit({"a": "gone"}, branch="gone", parents=[two])
    made.commit({"a": "3"})
    made.commit({"z": "1"}, branch="elsewhere", parents=[])
    made.tags |= {"one": one, "two": two}
    return made


def choose(source: InMemorySource, name: str, *tested: str, base: str | None = None, branch: str = "main") -> Baseline:
    commits = [source.names.get(one) or source.tags.get(one) or one for one in tested]
    return choose_baseline(source, source.resolve(name), branch, commits, base)


def test_a_branch_is_compared_with_where_it_left_the_default_branch(source: InMemorySource) -> None:
    assert choose(source, "topic", "one") == Baseline(source.tags["two"], "merge base with main")


def test_the_default_branch_is_compared_with_its_last_tested_revision(source: InMemorySource) -> None:
    assert choose(source, "main", "two", "one") == Baseline(
        source.tags["two"], "last successfully tested revision of main"
    )


def test_a_revision_tested_before_is_planned_as_it_was_then(source: InMemorySource) -> None:
    """Otherwise nothing would count as changed, and every step would be skipped instead of reused."""
    assert choose(source, "main", "main", "one").commit == source.tags["one"]


def test_an_older_revision_is_not_compared_with_a_later_one(source: InMemorySource) -> None:
    assert choose(source, "two", "main", "one").commit == source.tags["one"]


@pytest.mark.parametrize(
    ("name", "tested", "because"),
    [
        ("main", (), "no earlier revision of main was tested successfully, so everything counts"),
        ("main", ("main",), "no earlier revision of main was tested successfully, so everything counts"),
        ("main", ("f" * 40,), "the last tested revision fffffff is missing in the repository, so everything counts"),
        ("elsewhere", ("one",), "the history is unrelated to main, so everything counts"),
    ],
)
def test_in_doubt_everything_counts(source: InMemorySource, name: str, tested: tuple[str, ...], because: str) -> None:
    assert choose(source, name, *tested) == Baseline(None, because)


@pytest.mark.parametrize(
    ("last", "doubt"), [("gone", "was forced away from main"), ("elsewhere", "has an unrelated history")]
)
def test_a_tested_revision_outside_the_history_is_no_baseline(source: InMemorySource, last: str, doubt: str) -> None:
    baseline = choose(source, "main", last, "one")

    assert baseline == Baseline(
        None, f"the last tested revision {source.names[last][:7]} {doubt}, so everything counts"
    )


def test_without_a_default_branch_everything_counts(source: InMemorySource) -> None:
    assert choose(source, "topic", branch="trunk") == Baseline(
        None, "there is no default branch 'trunk' to compare with, so everything counts"
    )


def test_a_base_is_called_what_was_typed_whatever_it_means_there(source: InMemorySource) -> None:
    commit = source.names["elsewhere"]
    assert choose_baseline(
        source, Revision(source.names["main"]), "main", asked_for="HEAD~2", meant=commit
    ) == Baseline(commit, "asked for with --base HEAD~2")


def test_a_base_that_is_asked_for_decides_alone(source: InMemorySource) -> None:
    assert choose(source, "topic", base="elsewhere") == Baseline(
        source.names["elsewhere"], "asked for with --base elsewhere"
    )
    with pytest.raises(NotFoundError):
        choose(source, "topic", base="nowhere")


def test_a_snapshot_is_compared_with_what_it_stands_on(source: InMemorySource) -> None:
    main = source.names["main"]
    snapshot = source.commit({"a": "uncommitted"}, branch="snapshot", parents=[main])
    source.snapshots[snapshot] = main

    assert choose_baseline(source, Revision(snapshot, main), "main", [source.tags["one"]]).commit == main


def test_a_source_that_does_not_answer_is_not_taken_for_a_doubt(source: InMemorySource) -> None:
    revision = source.resolve("main")
    source.failures = 1

    with pytest.raises(TransientError):
        choose_baseline(source, revision, "main")


def test_the_change_set_says_what_it_is_measured_from(source: InMemorySource) -> None:
    changes = change_set(source, source.resolve("topic"), Baseline(source.tags["two"], "merge base with main"))

    assert (changes.base, changes.base_because) == (source.tags["two"], "merge base with main")
    assert [(one.path, one.change) for one in changes.changes] == [("b", ChangeKind.ADDED)]
