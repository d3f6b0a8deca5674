"""The `SourceRepository` port over a mirror."""

import hashlib
import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from pathlib import Path

from delivery.adapters.git import reading
from delivery.adapters.git.checkout import Kept, check_out, check_out_again
from delivery.adapters.git.command import GitFolder
from delivery.adapters.git.failures import as_text, checked_name
from delivery.artifact import Digest
from delivery.errors import NotFoundError
from delivery.paths import pathspecs
from delivery.source import FULL_COMMIT, Change, ChangeKind, Commit, Revision

SNAPSHOTS = "refs/shipline/snapshots/"
_WHERE_A_PERSON_STANDS = re.compile(r"HEAD\b|@")


class GitRepository:
    """Reads a bare mirror; keeps the trees of the commits asked for last, as a commit never changes.

    With `personal` it reads a person's own work tree, where what they told git to trust counts.
    """

    def __init__(self, folder: Path, *, personal: bool = False) -> None:
        self._folder = folder
        self._git = GitFolder(folder, personal)
        self._tree_of: Callable[[str], reading.Tree] = lru_cache(maxsize=8)(self._read_tree)
        self._checked_out: dict[str, Kept] = {}

    def resolve(self, name: str) -> Revision:
        checked_name(name)
        here = _WHERE_A_PERSON_STANDS.match(name)
        for candidate in (name,) if here else (name, f"refs/remotes/origin/{name}"):
            if commit := self._git.answer(
                f"resolving '{name}'", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{candidate}^{{commit}}"
            ):
                return Revision(commit, self._snapshot_base(commit))
        raise NotFoundError(
            f"resolving '{name}': there is no such revision", hint="give a branch, a tag or a commit id that exists"
        )

    def merge_base(self, one: str, other: str) -> str | None:
        doing = f"comparing {one} with {other}"
        found = self._git.answer(doing, "merge-base", "--end-of-options", checked_name(one), checked_name(other))
        return found.splitlines()[0] if found else None

    def is_ancestor(self, older: str, newer: str) -> bool:
        names = (checked_name(older), checked_name(newer))
        if older == newer and FULL_COMMIT.fullmatch(older):
            return True
        doing = f"comparing {older} with {newer}"
        return self._git.answer(doing, "merge-base", "--is-ancestor", "--end-of-options", *names) is not None

    def changes(self, base: str | None, head: str) -> tuple[Change, ...]:
        if base is None:
            submodules = {entry.path for entry in self._tree(head).entries(reading.SUBMODULE)}
            return tuple(Change(path, ChangeKind.ADDED, submodule=path in submodules) for path in self.files(head))
        return reading.changes(
            self._git.output(
                f"comparing {base} with {head}",
                *("diff-tree", "-r", "-z", "-M", "--raw", "--full-index", "--no-ext-diff", "--end-of-options"),
                *(checked_name(base), checked_name(head)),
            )
        )

    def commits(self, base: str | None, head: str, paths: Sequence[str] = ()) -> tuple[Commit, ...]:
        output = self._git.output(
            f"listing the commits of {head}",
            *("log", "-z", f"--format={reading.COMMIT_FORMAT}", "--full-history", "--encoding=UTF-8"),
            *("--end-of-options", _range(base, head), "--", *(spec for path in paths for spec in pathspecs(path))),
        )
        return reading.commits(output)

    def describe(self, revision: str) -> Commit:
        doing = f"reading commit {revision}"
        wanted = ("--max-count=1", f"--format={reading.COMMIT_FORMAT}", "--encoding=UTF-8", "--end-of-options")
        (found,) = reading.commits(self._git.output(doing, "log", "-z", *wanted, checked_name(revision), "--"))
        return found

    def touched(self, base: str, head: str) -> Collection[str]:
        output = self._git.output(
            f"listing what the commits of {head} touch",
            *("log", "-z", "-m", "--format=", "--name-only", "--no-renames", "--end-of-options", _range(base, head)),
        )
        return {as_text(path) for path in output.split(b"\0") if path}

    def count(self, base: str | None, head: str) -> int:
        doing = f"counting the commits of {head}"
        return int(self._git.text(doing, "rev-list", "--count", "--end-of-options", _range(base, head)))

    def files(self, revision: str) -> Sequence[str]:
        return self._tree(revision).index.paths

    def tree_digest(self, revision: str, patterns: Sequence[str]) -> Digest:
        tree = self._tree(revision)
        records = [tree.records[place] for place in tree.index.places(patterns)] if patterns else tree.records
        return Digest("sha256:" + hashlib.sha256(b"\0".join(records)).hexdigest())

    def read(self, revision: str, path: str) -> bytes | None:
        reading_it = _read_once if FULL_COMMIT.fullmatch(revision) else _read
        return reading_it(self._git, revision, path)

    def version_tags(self, revision: str) -> tuple[tuple[str, str], ...]:
        listed = self._git.text(
            f"listing the tags of {revision}",
            *("for-each-ref", f"--merged={checked_name(revision)}", "refs/tags"),
            "--format=%(refname:strip=2)%00%(objectname)%00%(*objectname)",
        )
        tags = (line.split("\0") for line in listed.splitlines())
        return tuple((name, peeled or commit) for name, commit, peeled in tags)

    def checkout(self, revision: str, folder: Path) -> None:
        kept = self._checked_out.get(revision)
        if kept:
            check_out_again(revision, folder, kept)
            return
        made = check_out(self._folder, revision, folder, self._tree(revision).entries(reading.SUBMODULE))
        if made and FULL_COMMIT.fullmatch(revision):
            self._checked_out[revision] = made

    def _tree(self, revision: str) -> reading.Tree:
        """Of a full commit from memory; a name may mean another commit tomorrow."""
        return self._tree_of(revision) if FULL_COMMIT.fullmatch(revision) else self._read_tree(revision)

    def _read_tree(self, revision: str) -> reading.Tree:
        doing = f"reading the tree of {revision}"
        return reading.tree(
            self._git.output(doing, "ls-tree", "-r", "-z", "--full-tree", "--end-of-options", checked_name(revision))
        )

    def _snapshot_base(self, commit: str) -> str | None:
        """What a snapshot stands on, so that asking for it by its id never makes it a clean revision."""
        doing = f"resolving {commit}"
        if self._git.answer(doing, "rev-parse", "--verify", "--quiet", SNAPSHOTS + commit) is None:
            return None
        return self._git.answer(doing, "rev-parse", "--verify", "--quiet", f"{commit}^")


def _read(git: GitFolder, revision: str, path: str) -> bytes | None:
    doing = f"reading {path} at {revision}"
    options = ("ls-tree", "-z", "--full-tree", "--end-of-options")
    entry = reading.tree_entry(git.output(doing, *options, checked_name(revision), "--", path))
    if entry is None or entry.path != path or not entry.regular:
        return None
    return git.output(doing, "cat-file", "blob", entry.object_id)


_read_once = lru_cache(maxsize=32)(_read)
"""A commit never changes, and one run asks for the same file of it three times."""


def _range(base: str | None, head: str) -> str:
    return f"{checked_name(base)}..{checked_name(head)}" if base else checked_name(head)
