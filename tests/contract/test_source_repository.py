"""What every `SourceRepository` does, asked of the fake and of real git alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from delivery.adapters.git import SourceMirror
from delivery.errors import NotFoundError, PermanentError
from delivery.ports import SourceRepository
from delivery.source import Change, ChangeKind, Revision
from tests.fakes.source_repository import InMemorySource
from tests.repositories import Made, make_repository


@dataclass(frozen=True, slots=True)
class World:
    source: SourceRepository
    ids: dict[str, str]


Make = Callable[[Sequence[Made]], World]
LONG = "".join(f"line {number}\n" for number in range(50))
HISTORY = (
    Made(
        {"api/app.py": LONG, "web/page.html": "<p>", "run.sh": "exit\n", "gone.txt": "1\n"}, label="a", tags=("v1.0.0",)
    ),
    Made({"api/app.py": LONG + "more\n"}, label="b"),
    Made({"web/page.html": "<b>"}, label="side", branch="topic", after="b"),
    Made({"docs/ü ber.md": "x\n"}, label="c"),
    Made({"web/page.html": "<b>"}, label="merged", merges="topic", tags=("v1.1.0",)),
    Made({"other.txt": "1\n"}, label="elsewhere", branch="unrelated"),
)


@pytest.fixture(params=["fake", "git"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    return _fake if request.param == "fake" else lambda commits: _real(tmp_path, commits)


@pytest.fixture
def world(make: Make) -> World:
    return make(HISTORY)


def _real(tmp_path: Path, commits: Sequence[Made]) -> World:
    repository = make_repository(tmp_path, commits)
    mirror = SourceMirror(tmp_path / "home" / "project.git")
    mirror.fetch(repository.folder)
    return World(mirror.repository(), repository.ids)


def _fake(commits: Sequence[Made]) -> World:
    source, ids = InMemorySource(), dict[str, str]()
    for made in commits:
        files = {path: content for path, content in made.files.items() if isinstance(content, str | bytes | None)}
        parents = [ids[name] for name in (made.branch if made.branch in ids else made.after, made.merges) if name]
        ids[made.label] = ids[made.branch] = source.commit(
            files,
            made.branch,
            [one for one in parents if one],
            made.tags,
            made.executable,
            made.message or made.label,
        )
    return World(source, ids)


@pytest.mark.parametrize(("name", "label"), [("main", "merged"), ("topic", "side"), ("v1.0.0", "a")])
def test_branches_and_tags_resolve_to_full_commits(world: World, name: str, label: str) -> None:
    assert world.source.resolve(name) == Revision(world.ids[label])


def test_full_and_short_commits_resolve(world: World) -> None:
    commit = world.ids["b"]

    assert world.source.resolve(commit) == world.source.resolve(commit[:10]) == Revision(commit)


@pytest.mark.parametrize("name", ["nowhere", "f" * 40, "--upload-pack=touch", "-h", "", "main\n"])
def test_a_name_that_is_no_revision_is_not_found(world: World, name: str) -> None:
    with pytest.raises(NotFoundError):
        world.source.resolve(name)


def test_the_merge_base_is_where_the_lines_part(world: World) -> None:
    assert world.source.merge_base(world.ids["c"], world.ids["side"]) == world.ids["b"]


def test_unrelated_histories_have_no_merge_base(world: World) -> None:
    assert world.source.merge_base(world.ids["merged"], world.ids["elsewhere"]) is None


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [("a", "merged", True), ("a", "a", True), ("merged", "a", False), ("side", "c", False), ("side", "merged", True)],
)
def test_a_commit_contains_itself_and_its_ancestors(world: World, older: str, newer: str, expected: bool) -> None:  # noqa: FBT001  # a table's column
    assert world.source.is_ancestor(world.ids[older], world.ids[newer]) is expected


def test_a_commit_that_is_not_there_cannot_be_compared(world: World) -> None:
    with pytest.raises(NotFoundError):
        world.source.merge_base("f" * 40, world.ids["a"])


@pytest.mark.parametrize(
    ("files", "executable", "expected"),
    [
        ({"new.txt": "1\n"}, frozenset(), Change("new.txt", ChangeKind.ADDED)),
        ({"api/app.py": "other\n"}, frozenset(), Change("api/app.py", ChangeKind.MODIFIED)),
        ({"gone.txt": None}, frozenset(), Change("gone.txt", ChangeKind.DELETED)),
        ({"run.sh": "exit\n"}, {"run.sh"}, Change("run.sh", ChangeKind.MODIFIED, mode_changed=True)),
        (
            {"api/app.py": None, "api/main.py": LONG},
            frozenset(),
            Change("api/main.py", ChangeKind.RENAMED, old_path="api/app.py"),
        ),
        (
            {"run.sh": None, "bin/run": "exit\n"},
            {"bin/run"},
            Change("bin/run", ChangeKind.RENAMED, old_path="run.sh", mode_changed=True),
        ),
        ({"with space.txt": "1\n"}, frozenset(), Change("with space.txt", ChangeKind.ADDED)),
        ({"süß/日本.txt": "1\n"}, frozenset(), Change("süß/日本.txt", ChangeKind.ADDED)),
        ({"two\nlines\ttab": "1\n"}, frozenset(), Change("two\nlines\ttab", ChangeKind.ADDED)),
        ({'"quoted" \\ back': "1\n"}, frozenset(), Change('"quoted" \\ back', ChangeKind.ADDED)),
        ({"-option": "1\n"}, frozenset(), Change("-option", ChangeKind.ADDED)),
    ],
    ids=[
        "added",
        "modified",
        "deleted",
        "mode",
        "renamed",
        "renamed-mode",
        "space",
        "unicode",
        "newline",
        "quote",
        "dash",
    ],
)
def test_a_change_is_named_exactly(
    make: Make, files: dict[str, str | None], executable: frozenset[str], expected: Change
) -> None:
    world = make([HISTORY[0], Made(files, label="changed", executable=frozenset(executable))])

    assert world.source.changes(world.ids["a"], world.ids["changed"]) == (expected,)


def test_without_a_base_every_path_counts_as_added(world: World) -> None:
    changes = world.source.changes(None, world.ids["a"])

    assert [change.path for change in changes] == ["api/app.py", "gone.txt", "run.sh", "web/page.html"]
    assert {change.change for change in changes} == {ChangeKind.ADDED}


def test_a_revision_does_not_differ_from_itself(world: World) -> None:
    assert world.source.changes(world.ids["a"], world.ids["a"]) == ()


def test_commits_are_listed_newest_first_with_merges(world: World) -> None:
    commits = world.source.commits(world.ids["a"], world.ids["merged"])

    assert [commit.subject for commit in commits] == ["merged", "c", "side", "b"]
    assert commits[0].parents == (world.ids["c"], world.ids["side"])
    assert {commit.email for commit in commits} == {"ada@example.org"}
    assert commits[0].committed_at.isoformat() == "2026-01-05T12:04:00+00:00"


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["web", "docs/*.md"], ["merged", "c", "side", "a"]),
        (["./api/"], ["b", "a"]),
        (["ap*"], ["b", "a"]),
        (["*"], ["a"]),
        (["**/*.py"], ["b", "a"]),
        (["nothing"], []),
    ],
)
def test_commits_of_paths_are_those_that_touched_them(world: World, patterns: list[str], expected: list[str]) -> None:
    """A merge is one when it is, over these paths, like none of its parents."""
    commits = world.source.commits(None, world.ids["merged"], patterns)

    assert [commit.subject for commit in commits] == expected


def test_all_that_commits_touch_is_told_also_what_only_a_merge_brings(world: World) -> None:
    assert set(world.source.touched(world.ids["b"], world.ids["merged"])) == {"docs/ü ber.md", "web/page.html"}
    assert set(world.source.touched(world.ids["merged"], world.ids["merged"])) == set()


def test_a_renamed_file_is_touched_where_it_was_and_where_it_is(make: Make) -> None:
    world = make([Made({"a": LONG}, label="before"), Made({"a": None, "b": LONG}, label="after")])

    assert set(world.source.touched(world.ids["before"], world.ids["after"])) == {"a", "b"}


@pytest.mark.parametrize(("base", "expected"), [(None, 5), ("a", 4), ("merged", 0)])
def test_commits_are_counted(world: World, base: str | None, expected: int) -> None:
    assert world.source.count(base and world.ids[base], world.ids["merged"]) == expected


def test_the_tree_digest_changes_with_what_the_patterns_match(world: World) -> None:
    def digest(label: str, *patterns: str) -> str:
        return world.source.tree_digest(world.ids[label], patterns)

    assert digest("a", "web") == digest("b", "web") != digest("side", "web")
    assert digest("a", "api/**") != digest("b", "api/**")
    assert digest("a") != digest("b")
    assert digest("a", "no/such") == digest("b", "no/such")


def test_the_tree_digest_covers_mode_and_path(make: Make) -> None:
    world = make(
        [
            Made({"a": "1\n"}, label="plain"),
            Made({"a": "1\n"}, label="mode", executable=frozenset({"a"})),
            Made({"a": None, "b": "1\n"}, label="path"),
        ]
    )

    assert len({world.source.tree_digest(world.ids[label], ()) for label in ("plain", "mode", "path")}) == 3


def test_the_tree_digest_follows_a_branch_that_moves(make: Make) -> None:
    world = make(HISTORY)

    assert world.source.tree_digest("main", ()) == world.source.tree_digest(world.ids["merged"], ())


def test_every_file_is_listed_in_the_order_of_git(world: World) -> None:
    assert list(world.source.files(world.ids["c"])) == [
        "api/app.py",
        "docs/ü ber.md",
        "gone.txt",
        "run.sh",
        "web/page.html",
    ]


def test_files_are_read_at_a_revision(world: World) -> None:
    assert world.source.read(world.ids["merged"], "docs/ü ber.md") == b"x\n"
    assert world.source.read(world.ids["a"], "docs/ü ber.md") is None
    assert world.source.read(world.ids["a"], "docs") is None


def test_version_tags_are_those_of_ancestors(world: World) -> None:
    assert world.source.version_tags(world.ids["c"]) == (("v1.0.0", world.ids["a"]),)
    assert dict(world.source.version_tags(world.ids["merged"])) == {
        "v1.0.0": world.ids["a"],
        "v1.1.0": world.ids["merged"],
    }


def test_a_checkout_is_exactly_the_revision(make: Make, tmp_path: Path) -> None:
    world = make([*HISTORY, Made({"run.sh": "exit\n"}, label="mode", executable=frozenset({"run.sh"}))])
    folder = tmp_path / "deep" / "checkout"

    world.source.checkout(world.ids["mode"], folder)

    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts}
    assert found == {"api/app.py", "docs/ü ber.md", "gone.txt", "run.sh", "web/page.html"}
    assert (folder / "run.sh").stat().st_mode & 0o111
    assert not (folder / "gone.txt").stat().st_mode & 0o111


def test_a_checkout_needs_an_empty_folder(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "used"
    folder.mkdir()
    (folder / "precious").touch()

    with pytest.raises(PermanentError, match="not empty"):
        world.source.checkout(world.ids["a"], folder)

    assert [path.name for path in folder.iterdir()] == ["precious"]
