"""What only real git can show: locations, mirrors, snapshots, submodules, and what is refused."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from delivery.adapters.git import GitRepository, SourceMirror, dirty, head, identify, is_shallow
from delivery.adapters.git.location import resolve, slug_of, source_of_url, without_password
from delivery.errors import ConfigurationError, DeliveryError, NotFoundError, PermanentError, TransientError
from delivery.source import Change, ChangeKind, Head, Revision
from tests.repositories import Link, Made, Repository, Submodule, make_repository, run_git


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return make_repository(
        tmp_path, [Made({"a.txt": "1\n"}, label="first"), Made({"b.txt": "2\n"}, label="second", tags=("v1.0.0",))]
    )


@pytest.fixture
def mirror(tmp_path: Path) -> SourceMirror:
    return SourceMirror(tmp_path / "home" / "sources" / "project.git")


# Identity


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/acme/shop.git",
        "https://example.org/acme/shop/",
        "https://ada:token@Example.org/acme/shop",
        "https://example.org:443/acme//shop.git?access_token=secret",
        "ssh://git@example.org/acme/shop.git",
        "ssh://git@example.org:22/acme/shop",
        "git@example.org:acme/shop.git",
        "example.org:acme/shop",
    ],
)
def test_every_address_of_a_source_is_one_source(url: str) -> None:
    assert source_of_url(url) == "example.org/acme/shop"


def test_a_port_of_its_own_belongs_to_the_source() -> None:
    assert source_of_url("http://127.0.0.1:3000/acme/shop.git") == "127.0.0.1:3000/acme/shop"


@pytest.mark.parametrize(
    ("source", "slug"),
    [
        ("example.org/acme/Shop", "shop"),
        ("/srv/git/my_shop.git", "my-shop"),
        ("/home/ada/shop/.git", "shop"),
        ("/x/---", "project"),
        ("/x/" + "a" * 39 + "--b", "a" * 39),
    ],
)
def test_a_slug_is_the_last_part_made_fit_for_a_name(source: str, slug: str) -> None:
    assert slug_of(source) == slug


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("https://ada:token@example.org/shop", "https://example.org/shop"),
        ("ssh://git:secret@example.org/shop", "ssh://git@example.org/shop"),
        ("git@example.org:acme/shop", "ssh://git@example.org/acme/shop"),
    ],
)
def test_a_stored_location_has_no_password(url: str, stored: str) -> None:
    assert without_password(url) == stored


def test_a_work_tree_without_origin_is_its_git_folder(repository: Repository) -> None:
    (repository.folder / "deep").mkdir()

    found = identify(repository.folder / "deep")

    assert found.source == str(repository.folder / ".git")
    assert (found.slug, found.default_branch, found.location) == ("repository", "main", str(repository.folder))


def test_an_origin_with_a_password_is_identified_without_it(repository: Repository) -> None:
    repository.git("remote", "add", "origin", "https://ada:hunter2@example.org/acme/shop.git")

    found = identify(repository.folder)

    assert (found.source, found.slug) == ("example.org/acme/shop", "shop")
    assert "hunter2" not in repr(found)


def test_clones_worktrees_and_their_origin_are_one_source(repository: Repository, tmp_path: Path) -> None:
    run_git(tmp_path, "clone", "--quiet", str(repository.folder), "one")
    run_git(tmp_path, "clone", "--quiet", f"file://{repository.folder}", "other")
    repository.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))

    places = [repository.folder, tmp_path / "one", tmp_path / "other", tmp_path / "linked"]

    assert len({identify(place).source for place in places}) == 1


def test_the_default_branch_is_what_the_origin_says(tmp_path: Path) -> None:
    origin = make_repository(tmp_path, [Made({"a": "1"}, branch="trunk")], name="origin")
    run_git(tmp_path, "clone", "--quiet", str(origin.folder), "clone")
    run_git(tmp_path / "clone", "switch", "--quiet", "-c", "main")

    assert identify(tmp_path / "clone").default_branch == "trunk"


def test_a_url_is_identified_by_asking_it(repository: Repository) -> None:
    found = identify(f"file://{repository.folder}")

    assert (found.source, found.default_branch) == (str(repository.folder), "main")


# What a location stands on


def test_a_branch_and_a_detached_head_are_told_apart(repository: Repository) -> None:
    on_branch = head(repository.folder)
    repository.git("checkout", "--quiet", "--detach", repository.ids["first"])

    assert on_branch == Head(repository.ids["second"], "main")
    assert head(repository.folder) == Head(repository.ids["first"], None)


@pytest.mark.parametrize("change", ["modified", "untracked", "staged", "deleted"])
def test_every_uncommitted_change_makes_a_work_tree_dirty(repository: Repository, change: str) -> None:
    assert not dirty(repository.folder)
    if change == "deleted":
        (repository.folder / "a.txt").unlink()
    else:
        (repository.folder / ("new.txt" if change == "untracked" else "a.txt")).write_text("other\n")
    if change == "staged":
        repository.git("add", "--all")

    assert dirty(repository.folder)


def test_ignored_files_do_not_make_it_dirty(repository: Repository) -> None:
    repository.commit({".gitignore": "*.log\n"})
    (repository.folder / "x.log").touch()

    assert not dirty(repository.folder)


def test_a_name_is_resolved_where_the_person_stands(repository: Repository) -> None:
    assert resolve(repository.folder, "HEAD~1") == repository.ids["first"]
    with pytest.raises(NotFoundError, match="no such revision"):
        resolve(repository.folder, "HEAD~9")


# What is refused


def test_a_folder_that_is_no_repository_is_refused_with_what_to_do(tmp_path: Path, mirror: SourceMirror) -> None:
    for ask in (identify, head, dirty, mirror.fetch, mirror.snapshot):
        with pytest.raises(ConfigurationError, match="not a git repository") as refusal:
            ask(tmp_path)
        assert "git init" in refusal.value.hint


@pytest.mark.parametrize("inherited", [False, True])
def test_a_machine_without_git_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, inherited: bool) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "env").symlink_to("/usr/bin/env")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    if inherited:
        monkeypatch.setenv("GIT_DIR", str(tmp_path))

    with pytest.raises(ConfigurationError, match="git is not installed"):
        identify(tmp_path)


def test_a_folder_that_does_not_exist_is_not_found(tmp_path: Path) -> None:
    """GitPython runs git in the current folder when the one it is given is missing; that must not happen."""
    with pytest.raises(NotFoundError, match="there is no such folder"):
        identify(tmp_path / "missing")


@pytest.mark.parametrize("bare", [False, True])
def test_a_repository_without_commits_is_refused_with_what_to_do(
    tmp_path: Path, mirror: SourceMirror, *, bare: bool
) -> None:
    run_git(tmp_path, "init", "--quiet", *(["--bare"] if bare else []), "empty")

    with pytest.raises(ConfigurationError, match="has no commits") as refusal:
        mirror.fetch(tmp_path / "empty")

    assert "git commit" in refusal.value.hint


def test_a_shallow_clone_is_refused_with_what_to_do(
    repository: Repository, tmp_path: Path, mirror: SourceMirror
) -> None:
    run_git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository.folder}", "shallow")

    assert is_shallow(tmp_path / "shallow")
    assert not is_shallow(repository.folder)
    with pytest.raises(ConfigurationError, match="the clone is shallow") as refusal:
        mirror.fetch(tmp_path / "shallow")
    assert "git fetch --unshallow" in refusal.value.hint


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_another_user_is_refused_with_what_to_do(repository: Repository) -> None:
    os.chown(repository.folder / ".git", 65534, 65534)
    os.chown(repository.folder, 65534, 65534)

    with pytest.raises(ConfigurationError, match="belongs to another user") as refusal:
        identify(repository.folder)

    assert "safe.directory" in refusal.value.hint


@pytest.mark.parametrize(
    ("location", "kind", "message"),
    [
        ("https://ada:hunter2@127.0.0.1:1/shop.git?token=hunter2", TransientError, "the repository did not answer"),
        ("ext::sh -c 'touch x'", NotFoundError, "there is no such folder"),
        ("ext://sh", ConfigurationError, "addresses of the kind 'ext' are not allowed"),
        ("file:///no/such/place", NotFoundError, "there is no such repository"),
    ],
)
def test_an_address_that_does_not_work_says_why_and_keeps_its_secret(
    mirror: SourceMirror, location: str, kind: type[DeliveryError], message: str
) -> None:
    with pytest.raises(kind, match=message) as refusal:
        mirror.fetch(location)

    assert "hunter2" not in f"{refusal.value} {refusal.value.hint}"


# Fetching


def test_branches_tags_and_a_detached_head_arrive(repository: Repository, mirror: SourceMirror) -> None:
    repository.git("checkout", "--quiet", "--detach")
    loose = repository.commit({"c.txt": "3\n"}, label="loose")

    mirror.fetch(repository.folder)

    source = mirror.repository()
    assert source.resolve("main").commit == source.resolve("v1.0.0").commit == repository.ids["second"]
    assert source.resolve(loose) == Revision(loose)


def test_a_linked_worktree_brings_its_own_head(repository: Repository, tmp_path: Path, mirror: SourceMirror) -> None:
    repository.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    linked = Repository(tmp_path / "linked")
    commit = linked.commit({"c.txt": "3\n"})

    mirror.fetch(linked.folder)

    assert head(linked.folder).commit == commit == mirror.repository().resolve(commit).commit


def test_a_bare_repository_and_a_url_can_be_fetched(
    repository: Repository, tmp_path: Path, mirror: SourceMirror
) -> None:
    run_git(tmp_path, "clone", "--quiet", "--bare", str(repository.folder), "bare.git")

    for location in (tmp_path / "bare.git", f"file://{repository.folder}"):
        mirror.fetch(location)
        assert mirror.repository().resolve("main").commit == repository.ids["second"]


def test_the_default_branch_of_a_clone_is_known_without_a_local_one(
    repository: Repository, tmp_path: Path, mirror: SourceMirror
) -> None:
    run_git(tmp_path, "clone", "--quiet", str(repository.folder), "clone")
    run_git(tmp_path / "clone", "switch", "--quiet", "-c", "topic")
    run_git(tmp_path / "clone", "branch", "--quiet", "-D", "main")

    mirror.fetch(tmp_path / "clone")

    assert mirror.repository().resolve("main").commit == repository.ids["second"]


@pytest.mark.parametrize("name", ["HEAD", "HEAD~1", "@"])
def test_a_mirror_does_not_know_where_a_person_stands(
    repository: Repository, tmp_path: Path, mirror: SourceMirror, name: str
) -> None:
    run_git(tmp_path, "clone", "--quiet", str(repository.folder), "clone")
    mirror.fetch(tmp_path / "clone")

    with pytest.raises(NotFoundError):
        mirror.repository().resolve(name)


def test_a_forced_update_is_followed_and_the_old_commit_stays(repository: Repository, mirror: SourceMirror) -> None:
    mirror.fetch(repository.folder)
    repository.git("reset", "--quiet", "--hard", repository.ids["first"])
    forced = repository.commit({"b.txt": "other\n"})

    mirror.fetch(repository.folder)
    run_git(mirror.folder, "-c", "gc.reflogExpire=now", "gc", "--quiet")

    source = mirror.repository()
    assert source.resolve("main").commit == forced
    assert source.resolve(repository.ids["second"]).commit == repository.ids["second"]
    assert not source.is_ancestor(repository.ids["second"], forced)


def test_a_branch_that_is_gone_is_gone_and_a_folder_may_take_its_name(
    repository: Repository, mirror: SourceMirror
) -> None:
    repository.git("branch", "topic")
    mirror.fetch(repository.folder)
    repository.git("branch", "-D", "topic")
    repository.git("branch", "topic/one")

    mirror.fetch(repository.folder)

    with pytest.raises(NotFoundError):
        mirror.repository().resolve("topic")
    assert mirror.repository().resolve("topic/one").commit == repository.ids["second"]


def test_a_stash_stays_private(repository: Repository, mirror: SourceMirror) -> None:
    (repository.folder / "a.txt").write_text("private\n")
    repository.git("stash")

    mirror.fetch(repository.folder)

    assert "stash" not in run_git(mirror.folder, "for-each-ref")


def test_no_hook_runs_and_nothing_asks(repository: Repository, mirror: SourceMirror, tmp_path: Path) -> None:
    repository.git("config", "core.hooksPath", str(tmp_path / "hooks"))
    (tmp_path / "hooks").mkdir()
    for name in ("post-checkout", "pre-push", "reference-transaction", "post-index-change"):
        hook = tmp_path / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        hook.chmod(0o755)
    (repository.folder / "a.txt").write_text("dirty\n")

    mirror.repository().checkout(mirror.snapshot(repository.folder).commit, tmp_path / "checkout")

    assert not (tmp_path / "ran").exists()


def test_a_surrounding_git_hook_changes_nothing(
    repository: Repository, mirror: SourceMirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git exports where it is to its hooks, and a control plane may have been started from one."""
    other = make_repository(tmp_path, name="other")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.folder))

    mirror.fetch(repository.folder)

    assert head(repository.folder).commit == repository.ids["second"]
    assert mirror.repository().resolve("main").commit == repository.ids["second"]


_FETCH = "import sys; from delivery.adapters.git import SourceMirror; from pathlib import Path; \
[SourceMirror(Path(sys.argv[1])).fetch(sys.argv[2]) for _ in range(5)]"


def test_processes_that_fetch_at_once_do_not_meet(repository: Repository, mirror: SourceMirror, tmp_path: Path) -> None:
    run_git(tmp_path, "clone", "--quiet", str(repository.folder), "clone")
    places = [repository.folder, tmp_path / "clone", repository.folder]

    running = [
        subprocess.Popen(
            [sys.executable, "-c", _FETCH, str(mirror.folder), str(place)],
            cwd=Path(__file__).parents[2],
            stderr=subprocess.PIPE,
        )
        for place in places
    ]
    errors = [process.communicate(timeout=60)[1].decode() for process in running]

    assert errors == ["", "", ""]
    assert mirror.repository().resolve("main").commit == repository.ids["second"]


def test_threads_that_fetch_at_once_do_not_meet(repository: Repository, mirror: SourceMirror) -> None:
    threads = [threading.Thread(target=mirror.fetch, args=(repository.folder,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert mirror.repository().resolve("main").commit == repository.ids["second"]


def test_a_mirror_that_stays_busy_is_tried_again_later(repository: Repository, tmp_path: Path) -> None:
    busy = SourceMirror(tmp_path / "busy.git", lock_timeout_seconds=0.05)

    with FileLock(tmp_path / "busy.lock"), pytest.raises(TransientError, match="another process has kept it busy"):
        busy.fetch(repository.folder)


def test_lock_files_of_a_killed_git_do_not_block(repository: Repository, mirror: SourceMirror) -> None:
    mirror.fetch(repository.folder)
    commit = repository.commit({"c.txt": "3\n"})
    for name in ("packed-refs.lock", "refs/heads/main.lock", "config.lock"):
        (mirror.folder / name).touch()
        os.utime(mirror.folder / name, (time.time() - 120, time.time() - 120))

    mirror.fetch(repository.folder)

    assert mirror.repository().resolve("main").commit == commit


# Snapshots


def _state(repository: Repository) -> tuple[str, bytes, set[str], str]:
    objects = {str(path) for path in (repository.folder / ".git" / "objects").rglob("*")}
    index = (repository.folder / ".git" / "index").read_bytes()
    return repository.git("for-each-ref"), index, objects, repository.git("stash", "list")


def test_a_snapshot_holds_the_work_tree_and_leaves_it_alone(repository: Repository, mirror: SourceMirror) -> None:
    repository.commit({".gitignore": "*.log\n"}, label="ignoring")
    (repository.folder / "a.txt").write_text("changed\n")
    (repository.folder / "new.txt").write_text("new\n")
    (repository.folder / "staged.txt").write_text("staged\n")
    repository.git("add", "staged.txt")
    (repository.folder / "b.txt").unlink()
    (repository.folder / "x.log").touch()
    before = _state(repository)

    snapshot = mirror.snapshot(repository.folder)

    assert _state(repository) == before
    assert snapshot.based_on == repository.ids["ignoring"]
    assert snapshot.dirty
    assert {(one.path, one.change) for one in mirror.repository().changes(snapshot.based_on, snapshot.commit)} == {
        ("a.txt", ChangeKind.MODIFIED),
        ("b.txt", ChangeKind.DELETED),
        ("new.txt", ChangeKind.ADDED),
        ("staged.txt", ChangeKind.ADDED),
    }


def test_the_same_content_is_the_same_snapshot(repository: Repository, mirror: SourceMirror) -> None:
    (repository.folder / "a.txt").write_text("changed\n")
    first = mirror.snapshot(repository.folder)
    (repository.folder / "a.txt").write_text("other\n")
    other = mirror.snapshot(repository.folder)
    (repository.folder / "a.txt").write_text("changed\n")

    assert mirror.snapshot(repository.folder) == first != other


def test_a_clean_work_tree_is_its_commit(repository: Repository, mirror: SourceMirror) -> None:
    assert mirror.snapshot(repository.folder) == Revision(repository.ids["second"])


def test_a_snapshot_asked_for_by_its_id_is_still_dirty(repository: Repository, mirror: SourceMirror) -> None:
    """Otherwise naming it would be a way around the rule that a dirty tree reaches development only."""
    (repository.folder / "a.txt").write_text("changed\n")
    snapshot = mirror.snapshot(repository.folder)
    mirror.fetch(repository.folder)

    assert mirror.repository().resolve(snapshot.commit) == mirror.repository().resolve(snapshot.commit[:12]) == snapshot


def test_a_snapshot_of_a_subfolder_is_of_the_whole_tree(repository: Repository, mirror: SourceMirror) -> None:
    (repository.folder / "deep").mkdir()
    (repository.folder / "a.txt").write_text("changed\n")

    assert mirror.snapshot(repository.folder / "deep") == mirror.snapshot(repository.folder)


# Checkouts and submodules


def test_a_second_checkout_of_a_revision_is_like_the_first(
    repository: Repository, mirror: SourceMirror, tmp_path: Path
) -> None:
    mirror.fetch(repository.folder)
    source = mirror.repository()
    first, second = tmp_path / "first", tmp_path / "second"
    source.checkout(repository.ids["second"], first)
    (first / "a.txt").write_text("changed by a step")
    source.checkout(repository.ids["second"], second)
    assert (second / "a.txt").read_text() == "1\n"
    for question in (("rev-parse", "HEAD"), ("describe", "--tags"), ("remote", "get-url", "origin")):
        assert run_git(second, *question) == run_git(first, *question)
    assert run_git(second, "status", "--porcelain") == ""
    run_git(second, "commit", "--allow-empty", "--quiet", "-m", "of its own")
    assert run_git(first, "rev-parse", "HEAD") == repository.ids["second"]


def test_a_checkout_has_a_repository_of_its_own_and_leaves_nothing_behind(
    repository: Repository, mirror: SourceMirror, tmp_path: Path
) -> None:
    (repository.folder / "a.txt").write_text("never seen\n")
    mirror.fetch(repository.folder)
    before = sorted(str(path) for path in mirror.folder.rglob("*"))

    mirror.repository().checkout(repository.ids["second"], tmp_path / "checkout")

    assert (tmp_path / "checkout" / "a.txt").read_text() == "1\n"
    assert run_git(tmp_path / "checkout", "describe", "--tags") == "v1.0.0"
    assert run_git(tmp_path / "checkout", "rev-parse", "HEAD") == repository.ids["second"]
    assert run_git(tmp_path / "checkout", "status", "--porcelain") == ""
    shutil.rmtree(tmp_path / "checkout")
    assert sorted(str(path) for path in mirror.folder.rglob("*")) == before


def test_links_stay_links_and_are_not_read_as_files(tmp_path: Path, mirror: SourceMirror) -> None:
    made = make_repository(tmp_path, [Made({"link": Link("/etc/passwd"), "a": "1"}, label="links")])
    mirror.fetch(made.folder)

    mirror.repository().checkout(made.ids["links"], tmp_path / "checkout")

    assert (tmp_path / "checkout" / "link").readlink() == Path("/etc/passwd")
    assert mirror.repository().read(made.ids["links"], "link") is None


def test_a_filter_that_is_not_installed_leaves_the_file_as_it_is_stored(tmp_path: Path, mirror: SourceMirror) -> None:
    made = make_repository(
        tmp_path, [Made({".gitattributes": "*.bin filter=lfs -text\n", "x.bin": "pointer\n"}, label="lfs")]
    )
    mirror.fetch(made.folder)

    mirror.repository().checkout(made.ids["lfs"], tmp_path / "checkout")

    assert (tmp_path / "checkout" / "x.bin").read_text() == "pointer\n"


@pytest.fixture
def with_submodule(tmp_path: Path) -> Repository:
    lib = make_repository(
        tmp_path, [Made({"lib.py": "1\n"}, label="lib1"), Made({"lib.py": "2\n"}, label="lib2")], name="lib"
    )
    modules = '[submodule "lib"]\n\tpath = vendor/lib\n\turl = ../lib\n'
    made = make_repository(
        tmp_path,
        [
            Made({".gitmodules": modules, "vendor/lib": Submodule(lib.ids["lib1"])}, label="one"),
            Made({"vendor/lib": Submodule(lib.ids["lib2"])}, label="bumped"),
            Made({"vendor/lib": Submodule("1" * 40)}, label="unreachable"),
            Made({".gitmodules": None, "vendor/lib": Submodule(lib.ids["lib1"])}, label="unnamed"),
        ],
    )
    made.ids |= lib.ids
    return made


def test_a_submodule_bump_is_a_change(with_submodule: Repository, mirror: SourceMirror) -> None:
    mirror.fetch(with_submodule.folder)

    changes = mirror.repository().changes(with_submodule.ids["one"], with_submodule.ids["bumped"])

    assert changes == (Change("vendor/lib", ChangeKind.MODIFIED, submodule=True),)


@pytest.mark.parametrize(("label", "content"), [("one", "1\n"), ("bumped", "2\n")])
def test_submodules_are_checked_out_as_recorded(
    with_submodule: Repository, mirror: SourceMirror, tmp_path: Path, label: str, content: str
) -> None:
    mirror.fetch(with_submodule.folder)

    mirror.repository().checkout(with_submodule.ids[label], tmp_path / "checkout")

    assert (tmp_path / "checkout" / "vendor" / "lib" / "lib.py").read_text() == content


@pytest.mark.parametrize("label", ["unreachable", "unnamed"])
def test_a_submodule_that_cannot_be_had_is_named(
    with_submodule: Repository, mirror: SourceMirror, tmp_path: Path, label: str
) -> None:
    mirror.fetch(with_submodule.folder)

    with pytest.raises(PermanentError, match="submodule 'vendor/lib' at ") as refusal:
        mirror.repository().checkout(with_submodule.ids[label], tmp_path / "checkout")

    assert ".gitmodules" in refusal.value.hint


def test_a_large_tree_is_digested_quickly(tmp_path: Path, mirror: SourceMirror) -> None:
    files = {f"services/s{number % 30}/file{number}.py": f"x = {number}\n" for number in range(5000)}
    made = make_repository(tmp_path, [Made(files, label="large")])
    mirror.fetch(made.folder)
    source: GitRepository = mirror.repository()
    source.tree_digest(made.ids["large"], ["services/s0"])

    started = time.process_time()
    digests = {source.tree_digest(made.ids["large"], [f"services/s{number}"]) for number in range(1, 6)}

    assert len(digests) == 5
    assert (time.process_time() - started) / 5 < 0.05
