"""Reading what git's plumbing prints with `-z`: pure, and exact for every file name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import getaddresses

from delivery.adapters.git.failures import as_text
from delivery.path_index import PathIndex
from delivery.source import Change, ChangeKind, Commit

SUBMODULE = "160000"
COMMIT_FORMAT = (
    "tformat:%H%x00%P%x00%an%x00%ae%x00%at%x00%ct%x00%s"
    "%x00%(trailers:key=Co-authored-by,valueonly,unfold,separator=%x1f)"
)
_COMMIT_FIELDS = 8
_KINDS = {"A": ChangeKind.ADDED, "D": ChangeKind.DELETED, "R": ChangeKind.RENAMED}


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file, symbolic link or submodule of a tree, with git's record of it."""

    path: str
    mode: str
    object_id: str
    record: bytes

    @property
    def submodule(self) -> bool:
        """Whether it is a commit of another repository."""
        return self.mode == SUBMODULE

    @property
    def regular(self) -> bool:
        """Whether it is a file with content of its own."""
        return self.mode.startswith("100")


@dataclass(frozen=True, slots=True)
class Tree:
    """Everything in a tree: git's records, sorted by path as git does, and their paths."""

    records: Sequence[bytes]
    index: PathIndex

    def entries(self, mode: str) -> tuple[TreeEntry, ...]:
        """What has this mode."""
        beginning = f"{mode} ".encode()
        return tuple(_entry(record) for record in self.records if record.startswith(beginning))


def tree(output: bytes) -> Tree:
    """Of `git ls-tree -r -z --full-tree`."""
    records = output.split(b"\0")[:-1]
    return Tree(records, PathIndex([as_text(record[record.index(b"\t") + 1 :]) for record in records]))


def tree_entry(output: bytes) -> TreeEntry | None:
    """Of `git ls-tree -z --full-tree` with one path."""
    return _entry(output.rstrip(b"\0")) if output else None


def changes(output: bytes) -> tuple[Change, ...]:
    """Of `git diff-tree -r -z -M --raw`."""
    return tuple(_changes(iter(output.split(b"\0"))))


def commits(output: bytes) -> tuple[Commit, ...]:
    """Of `git log -z` with COMMIT_FORMAT."""
    fields = as_text(output).split("\0")[:-1]
    return tuple(_commit(fields[at : at + _COMMIT_FIELDS]) for at in range(0, len(fields), _COMMIT_FIELDS))


def _entry(record: bytes) -> TreeEntry:
    about, _, path = record.partition(b"\t")
    mode, _, object_id = about.decode().split(" ")
    return TreeEntry(as_text(path), mode, object_id, record)


def _changes(fields: Iterator[bytes]) -> Iterator[Change]:
    for about in fields:
        if not about:
            return
        old_mode, new_mode, _, _, status = about.decode().lstrip(":").split(" ")
        kind = _KINDS.get(status[0], ChangeKind.MODIFIED)
        old_path = as_text(next(fields)) if kind is ChangeKind.RENAMED else None
        yield Change(
            path=as_text(next(fields)),
            change=kind,
            old_path=old_path,
            mode_changed=kind in {ChangeKind.MODIFIED, ChangeKind.RENAMED} and old_mode != new_mode,
            submodule=SUBMODULE in {old_mode, new_mode},
        )


def _commit(fields: list[str]) -> Commit:
    name, parents, author, email, authored, committed, subject, co_authors = fields
    others = tuple(address for _, address in getaddresses(co_authors.split("\x1f")) if address)
    return Commit(name, tuple(parents.split()), author, email, subject, _moment(authored), _moment(committed), others)


def _moment(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
