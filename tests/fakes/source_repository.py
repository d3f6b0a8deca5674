"""An in-memory source repository: commits as dictionaries of files."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from delivery.artifact import Digest
from delivery.canonical import canonical_digest
from delivery.errors import NotFoundError, PermanentError, TransientError
from delivery.paths import matcher
from delivery.source import Change, ChangeKind, Commit, Revision


@dataclass(frozen=True, slots=True)
class File:
    """A file's content and whether it is executable."""

    content: bytes
    executable: bool = False


@dataclass(slots=True)
class InMemorySource:
    """Passes the contract of `SourceRepository`; the next `failures` calls raise TransientError."""

    failures: int = 0
    names: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    snapshots: dict[str, str] = field(default_factory=dict)
    _commits: dict[str, Commit] = field(default_factory=dict)
    _trees: dict[str, dict[str, File]] = field(default_factory=dict)

    def commit(
        self,
        files: Mapping[str, str | bytes | None],
        branch: str = "main",
        parents: Sequence[str] | None = None,
        tags: Sequence[str] = (),
        executable: frozenset[str] = frozenset(),
        subject: str = "a change",
    ) -> str:
        """Commit changes (None deletes) on a branch; the full commit id."""
        before = tuple(parents) if parents is not None else tuple(filter(None, [self.names.get(branch)]))
        tree = dict(self._trees[before[0]]) if before else {}
        for path, content in files.items():
            tree.pop(path, None)
            if content is not None:
                data = content.encode() if isinstance(content, str) else content
                tree[path] = File(data, path in executable)
        number = len(self._commits)
        name = hashlib.sha1(f"{number}{before}{sorted(tree.items())}".encode(), usedforsecurity=False).hexdigest()
        moment = datetime(2026, 1, 5, 12, tzinfo=UTC) + timedelta(minutes=number)
        self._commits[name] = Commit(name, before, "Ada Lovelace", "ada@example.org", subject, moment, moment)
        self._trees[name] = dict(sorted(tree.items()))
        self.names[branch] = name
        self.tags |= dict.fromkeys(tags, name)
        return name

    def resolve(self, name: str) -> Revision:
        self._maybe_fail()
        commit = self._commit_of(name)
        return Revision(commit, self.snapshots.get(commit))

    def merge_base(self, one: str, other: str) -> str | None:
        self._maybe_fail()
        common = self._ancestors(one) & self._ancestors(other)
        best = [a for a in common if not any(a != b and a in self._ancestors(b) for b in common)]
        return min(best, key=list(self._commits).index, default=None)

    def is_ancestor(self, older: str, newer: str) -> bool:
        self._maybe_fail()
        return self._commit_of(older) in self._ancestors(newer)

    def changes(self, base: str | None, head: str) -> tuple[Change, ...]:
        self._maybe_fail()
        new = self._tree(head)
        old = self._tree(base) if base else {}
        deleted = {path for path in old if path not in new}
        found = [self._change(path, old, new, deleted if base else set()) for path in new if old.get(path) != new[path]]
        renamed = {change.old_path for change in found}
        found += [Change(path, ChangeKind.DELETED) for path in deleted - renamed]
        return tuple(sorted(found, key=lambda change: change.path))

    def commits(self, base: str | None, head: str, paths: Sequence[str] = ()) -> tuple[Commit, ...]:
        self._maybe_fail()
        names = self._ancestors(head) - (self._ancestors(base) if base else set())
        newest_first = [commit for name, commit in reversed(self._commits.items()) if name in names]
        return tuple(commit for commit in newest_first if not paths or self._touches(commit, matcher(tuple(paths))))

    def describe(self, revision: str) -> Commit:
        return self._commits[revision]

    def touched(self, base: str, head: str) -> Collection[str]:
        found: set[str] = set()
        for commit in self.commits(base, head):
            for parent in commit.parents:
                before, after = self._trees[parent], self._trees[commit.id]
                found |= {path for path in {*before, *after} if before.get(path) != after.get(path)}
        return found

    def count(self, base: str | None, head: str) -> int:
        return len(self.commits(base, head))

    def files(self, revision: str) -> Sequence[str]:
        self._maybe_fail()
        return list(self._tree(revision))

    def tree_digest(self, revision: str, patterns: Sequence[str]) -> Digest:
        self._maybe_fail()
        matches = matcher(tuple(patterns) or ("**",))
        tree = self._tree(revision)
        return canonical_digest(
            [[path, file.executable, file.content.hex()] for path, file in tree.items() if matches(path)]
        )

    def read(self, revision: str, path: str) -> bytes | None:
        self._maybe_fail()
        found = self._tree(revision).get(path)
        return found.content if found else None

    def version_tags(self, revision: str) -> tuple[tuple[str, str], ...]:
        self._maybe_fail()
        ancestors = self._ancestors(revision)
        return tuple((tag, commit) for tag, commit in sorted(self.tags.items()) if commit in ancestors)

    def checkout(self, revision: str, folder: Path) -> None:
        self._maybe_fail()
        if folder.exists() and any(folder.iterdir()):
            raise PermanentError(f"checking out {revision}: the folder {folder} is not empty")
        for path, file in self._tree(revision).items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content)
            target.chmod(0o755 if file.executable else 0o644)

    def _maybe_fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise TransientError("reading the source: it did not answer")

    def _commit_of(self, name: str) -> str:
        named = self.tags.get(name) or self.names.get(name)
        found = [named] if named else [one for one in self._commits if len(name) >= 4 and one.startswith(name)]
        if len(found) != 1:
            raise NotFoundError(f"resolving '{name}': there is no such revision")
        return found[0]

    def _tree(self, revision: str) -> dict[str, File]:
        return self._trees[self._commit_of(revision)]

    def _ancestors(self, revision: str) -> set[str]:
        waiting, found = [self._commit_of(revision)], set[str]()
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self._commits[name].parents
        return found

    def _change(self, path: str, old: Mapping[str, File], new: Mapping[str, File], deleted: set[str]) -> Change:
        """Git takes a new file for a renamed one when a deleted one had (here: exactly) its content."""
        if before := old.get(path):
            return Change(path, ChangeKind.MODIFIED, mode_changed=before.executable != new[path].executable)
        for candidate in sorted(deleted):
            if old[candidate].content == new[path].content:
                changed = old[candidate].executable != new[path].executable
                return Change(path, ChangeKind.RENAMED, old_path=candidate, mode_changed=changed)
        return Change(path, ChangeKind.ADDED)

    def _touches(self, commit: Commit, matches: Callable[[str], bool]) -> bool:
        """Whether it differs from every parent in a matching path; a merge that only brings others' work does not."""

        def part(name: str) -> dict[str, File]:
            return {path: file for path, file in self._trees[name].items() if matches(path)}

        return all(part(parent) != part(commit.id) for parent in commit.parents) and bool(
            commit.parents or part(commit.id)
        )
