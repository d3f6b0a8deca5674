import pytest
import semver

from delivery.source import Revision
from delivery.version import next_version, parse_tag, version_of
from tests.fakes.source_repository import InMemorySource

HEAD = "1a2b3c4" + "0" * 33
OLD = "f" * 40


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([], "0.1.0-dev.7+g1a2b3c4"),
        ([("v1.4.0", HEAD)], "1.4.0"),
        ([("1.4.0", HEAD)], "1.4.0"),
        ([("v1.4.0+build.5", HEAD)], "1.4.0+build.5"),
        ([("v1.4.0", HEAD), ("v1.4.1-rc.1", HEAD)], "1.4.1-rc.1"),
        ([("v2.0.0", OLD), ("v1.4.1", HEAD)], "1.4.1"),
        ([("v1.4.0", OLD)], "1.4.1-dev.7+g1a2b3c4"),
        ([("v1.9.0", OLD), ("v1.10.0", OLD)], "1.10.1-dev.7+g1a2b3c4"),
        ([("v1.5.0-rc.1", OLD)], "1.5.0-rc.1.dev.7+g1a2b3c4"),
        ([("v1.5.0-rc.1+x", OLD)], "1.5.0-rc.1.dev.7+g1a2b3c4"),
        ([("nightly", HEAD), ("v1", HEAD), ("v1.2", OLD), ("release-1.0.0", OLD)], "0.1.0-dev.7+g1a2b3c4"),
        ([("v01.2.3", HEAD)], "0.1.0-dev.7+g1a2b3c4"),
    ],
)
def test_the_version_comes_from_the_tags(tags: list[tuple[str, str]], expected: str) -> None:
    assert next_version(tags, Revision(HEAD), lambda _base: 7) == expected
    assert semver.Version.is_valid(expected)


def test_uncommitted_changes_are_said_and_are_never_the_tagged_version() -> None:
    revision = Revision("e" * 40, based_on=HEAD)

    assert next_version([("v1.4.0", HEAD)], revision, lambda _base: 0) == "1.4.1-dev.0+g1a2b3c4.dirty"
    assert next_version([], revision, lambda _base: 3) == "0.1.0-dev.3+g1a2b3c4.dirty"


@pytest.mark.parametrize(("last", "between"), [("v1.4.0", "1.4.1"), ("v1.5.0-rc.1", "1.5.0-rc.2")])
def test_a_version_between_tags_sorts_between_them(last: str, between: str) -> None:
    version = semver.Version.parse(next_version([(last, OLD)], Revision(HEAD), lambda _base: 7))
    before = parse_tag(last)

    assert before is not None
    assert before < version < semver.Version.parse(between)


def test_a_repository_tells_the_version_of_its_revisions() -> None:
    source = InMemorySource()
    source.commit({"a": "1"}, tags=["v1.0.0"])
    second = source.commit({"a": "2"})
    third = source.commit({"a": "3"})

    assert version_of(Revision(third), source) == f"1.0.1-dev.2+g{third[:7]}"
    assert version_of(Revision(source.tags["v1.0.0"]), source) == "1.0.0"
    assert version_of(Revision(second), source) == f"1.0.1-dev.1+g{second[:7]}"
