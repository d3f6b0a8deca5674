"""The mirror: a bare repository in the home that holds everything ever fetched from a source.

Branches and tags follow the location fetched last, forced updates and deletions included. Commits are
never dropped, so that a revision once tested can be checked out and compared for as long as the home lives.
"""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from delivery.adapters.git.command import GitFolder
from delivery.adapters.git.failures import without_credentials
from delivery.adapters.git.location import (
    Place,
    head,
    is_url,
    look,
    origin_of,
    require_history,
    top_folder,
    without_password,
)
from delivery.adapters.git.repository import SNAPSHOTS, GitRepository
from delivery.errors import TransientError
from delivery.source import Revision

_REFERENCES = ("+refs/*:refs/*", "^refs/shipline/*", "^refs/stash")
_SETTINGS = {
    "gc.pruneExpire": "never",
    "gc.cruftPacks": "true",
    "uploadpack.hideRefs": "refs/shipline",
    "core.logAllRefUpdates": "false",
    "fetch.writeCommitGraph": "true",  # counting and comparing ten thousand commits is ten times faster
}
_ABANDONED_SECONDS = 60
_NO_HEAD = "--initial-branch=shipline/none"
"""`HEAD` means where a person stands; a mirror stands nowhere, so there the name must not resolve."""


@dataclass(frozen=True, slots=True)
class SourceMirror:
    """The mirror of one source. Fetching and taking snapshots is safe from several processes at once."""

    folder: Path
    lock_timeout_seconds: float = 300

    def repository(self) -> GitRepository:
        """What stands in the mirror."""
        return GitRepository(self.folder)

    def fetch(self, location: str | Path) -> None:
        """Bring every ref of a work tree, bare repository or URL, and what its work tree stands on.

        ConfigurationError for what is no repository, has no commits or is shallow; TransientError when it
        does not answer or another process keeps the mirror busy.
        """
        place = None if is_url(location) else require_history(location)
        references = (*_REFERENCES, *(_head_reference(place) if place else ()))
        origin = _origin(place) if place else without_password(str(location))
        with self._locked():
            self._prepare(origin)
            GitFolder(self.folder, personal=True).output(
                f"fetching {without_credentials(str(location))}",
                *("--git-dir", str(self.folder), "fetch", "--quiet", "--force", "--prune", "--no-tags"),
                *(
                    "--no-write-fetch-head",
                    "--no-recurse-submodules",
                    "--",
                    str(place.top if place else location),
                    *references,
                ),
                deadline_seconds=900,
            )

    def snapshot(self, location: str | Path) -> Revision:
        """The work tree as it is: its commit when it is clean, else a commit of all that is not ignored.

        The same content on the same commit gives the same snapshot. The work tree's index, refs and objects
        stay as they are.
        """
        self.fetch(location)
        place, based_on = top_folder(location), head(location).commit
        with tempfile.TemporaryDirectory(prefix="shipline-snapshot-") as folder:
            scratch = _Scratch(place, Path(folder))
            tree = scratch.tree()
            if tree == scratch.tree_of(based_on):
                return Revision(based_on)
            commit = scratch.commit(tree, based_on)
            with self._locked():
                scratch.push(commit, self.folder)
        return Revision(commit, based_on)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder.with_suffix(".lock"), timeout=self.lock_timeout_seconds)
        try:
            lock.acquire()
        except Timeout as error:
            raise TransientError(
                f"updating the mirror {self.folder}: another process has kept it busy"
                f" for {self.lock_timeout_seconds:g} seconds",
                hint="try again when it is done",
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _prepare(self, origin: str) -> None:
        """Make the mirror if it is not there, and clear what a killed git has left."""
        git = GitFolder(self.folder.parent)
        doing = f"preparing the mirror {self.folder}"
        if not (self.folder / "HEAD").is_file():
            git.output(doing, "init", "--quiet", "--bare", "--template=", _NO_HEAD, "--", str(self.folder))
        _remove_abandoned_locks(self.folder)
        known = self._settings(doing)
        for name, value in {**_SETTINGS, "remote.origin.url": origin}.items():
            if known.get(name.lower()) != value:
                GitFolder(self.folder).output(doing, "config", name, value)

    def _settings(self, doing: str) -> dict[str, str]:
        """The mirror's own, by their names in lower case."""
        listed = GitFolder(self.folder).text(doing, "config", "--local", "--list", "-z")
        return dict(one.split("\n", 1) for one in listed.split("\0") if "\n" in one)


@dataclass(frozen=True, slots=True)
class _Scratch:
    """A private index and object folder over somebody's work tree."""

    place: Path
    folder: Path

    def tree(self) -> str:
        """Write everything that is not ignored; the tree's id."""
        git_folder = Path(self._git.text(self._doing, "rev-parse", "--absolute-git-dir"))
        if (git_folder / "index").is_file():  # its file times spare reading what has not changed
            shutil.copy2(git_folder / "index", self.folder / "index")
        self._git.output(self._doing, "add", "--all", "--", ".", environment=self._environment)
        return self._git.text(self._doing, "write-tree", environment=self._environment)

    def tree_of(self, commit: str) -> str:
        return self._git.text(self._doing, "rev-parse", f"{commit}^{{tree}}")

    def commit(self, tree: str, parent: str) -> str:
        """A commit that depends on nothing but its tree and parent."""
        moment = self._git.text(self._doing, "show", "--no-patch", "--format=%ct +0000", parent)
        person = {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in (("NAME", "Shipline"), ("EMAIL", "snapshot@shipline.invalid"), ("DATE", moment))
        }
        message = "Uncommitted changes of a work tree"
        return self._git.text(
            self._doing, "commit-tree", "-p", parent, "-m", message, tree, environment={**self._environment, **person}
        )

    def push(self, commit: str, mirror: Path) -> None:
        GitFolder(self.place).output(
            self._doing,
            *("push", "--quiet", "--no-verify", "--no-signed", "--no-recurse-submodules"),
            *("--", str(mirror), f"{commit}:{SNAPSHOTS}{commit}"),
            environment=self._environment,
        )

    @property
    def _doing(self) -> str:
        return f"taking a snapshot of {self.place}"

    @property
    def _git(self) -> GitFolder:
        return GitFolder(self.place, personal=True)

    @property
    def _environment(self) -> Mapping[str, str]:
        objects = self.folder / "objects"
        objects.mkdir(exist_ok=True)
        return {
            "GIT_INDEX_FILE": str(self.folder / "index"),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(look(self.place).common / "objects"),
        }


def _head_reference(place: Place) -> tuple[str, ...]:
    """What a work tree stands on, also when no branch has it."""
    if place.bare:
        return ()
    key = hashlib.sha256(str(place.top).encode()).hexdigest()[:16]
    return (f"+HEAD:refs/shipline/heads/{key}",)


def _origin(place: Place) -> str:
    """What submodules with a relative address are relative to."""
    origin = origin_of(place.top) or str(place.top)
    return without_password(origin) if is_url(origin) else origin


def _remove_abandoned_locks(mirror: Path) -> None:
    """A git that was killed leaves its lock files; nobody else can hold one while we hold the mirror's."""
    for lock in (*mirror.glob("*.lock"), *mirror.glob("refs/**/*.lock"), *mirror.glob("objects/info/*.lock")):
        if time.time() - lock.stat().st_mtime > _ABANDONED_SECONDS:
            lock.unlink(missing_ok=True)
