"""Source: revisions, commits and the change set between two revisions."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from delivery.path_index import PathIndex

FULL_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""A commit's whole id, which never means another one tomorrow; to be matched fully."""


class ChangeKind(StrEnum):
    """What happened to a path between two revisions."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"
    RENAMED = "renamed"


@dataclass(frozen=True, slots=True)
class Change:
    """One changed path; a renamed one also names where it was."""

    path: str
    change: ChangeKind
    old_path: str | None = None
    mode_changed: bool = False
    submodule: bool = False


@dataclass(frozen=True)
class ChangeSet:
    """The changes between a base and a revision, and why that base was taken.

    Without a base everything counts as changed; `changes` then lists every path as added.
    """

    base: str | None
    base_because: str
    head: str
    changes: tuple[Change, ...]

    @cached_property
    def touched(self) -> PathIndex:
        """Every path that a change touches: a renamed file counts where it was and where it is."""
        return PathIndex([path for one in self.changes for path in (one.old_path, one.path) if path is not None])


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit, or a dirty work tree: a snapshot commit that no branch holds.

    `commit` can always be checked out. For a dirty tree it is the snapshot, `based_on` the commit
    that the work tree stood on, and the revision may reach development environments only.
    """

    commit: str
    based_on: str | None = None

    @property
    def dirty(self) -> bool:
        """Whether this is a snapshot of a work tree with uncommitted changes."""
        return self.based_on is not None


@dataclass(frozen=True, slots=True)
class Commit:
    """What people and metrics need to know of a commit; times are aware and in UTC."""

    id: str
    parents: tuple[str, ...]
    author: str
    email: str
    subject: str
    authored_at: datetime
    committed_at: datetime
    co_authors: tuple[str, ...] = ()
    """Addresses that its `Co-authored-by` lines name."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a repository stands: its commit, and its branch unless it is detached."""

    commit: str
    branch: str | None


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """Which source a location belongs to. Two clones of one source have the same `source`."""

    source: str
    """`host/path` of the origin, without scheme and credentials; for a local one its git folder's real path."""
    default_branch: str
    slug: str
    """Fit for a project's name; not yet unique."""
    location: str
    """What `fetch` takes: the work tree's top folder, a bare repository, or a URL without password."""
