"""Baselines: the revision that a change set is measured from, and why that one.

A wrong baseline lets a change through untested, so whenever there is doubt there is none, and everything runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from delivery.errors import NotFoundError
from delivery.ports import SourceRepository
from delivery.source import ChangeSet, Revision


@dataclass(frozen=True, slots=True)
class Baseline:
    """A commit to compare with, or None when everything counts as changed; and why."""

    commit: str | None
    because: str


def short(commit: str) -> str:
    """The first seven digits of a commit id, for sentences."""
    return commit[:7]


def change_set(source: SourceRepository, revision: Revision, baseline: Baseline) -> ChangeSet:
    """What changed since the baseline."""
    changes = source.changes(baseline.commit, revision.commit)
    return ChangeSet(baseline.commit, baseline.because, revision.commit, changes)


def choose_baseline(
    source: SourceRepository,
    revision: Revision,
    default_branch: str,
    tested: Sequence[str] = (),
    asked_for: str | None = None,
    meant: str | None = None,
) -> Baseline:
    """The merge base with the default branch for a branch; the last tested revision on the default branch itself.

    `tested` are the default branch's successfully tested commits, newest first. `asked_for` (`--base`) decides
    alone, and is the commit `meant` where that is known; NotFoundError when it does not exist.
    """
    if asked_for is not None:
        return Baseline(source.resolve(meant or asked_for).commit, f"asked for with --base {asked_for}")
    try:
        tip = source.resolve(default_branch).commit
    except NotFoundError:
        return Baseline(None, f"there is no default branch '{default_branch}' to compare with, so everything counts")
    if source.is_ancestor(revision.commit, tip):
        return _last_tested(source, revision.commit, default_branch, tested)
    return _fork_point(source, revision.commit, default_branch, tip)


def _fork_point(source: SourceRepository, commit: str, default_branch: str, tip: str) -> Baseline:
    base = source.merge_base(commit, tip)
    if base is None:
        return Baseline(None, f"the history is unrelated to {default_branch}, so everything counts")
    return Baseline(base, f"merge base with {default_branch}")


def _last_tested(source: SourceRepository, commit: str, branch: str, tested: Sequence[str]) -> Baseline:
    """The newest tested revision that is older than the commit; later ones say nothing about it."""
    for candidate in tested:
        try:
            base = source.merge_base(candidate, commit)
        except NotFoundError:
            return _doubt(candidate, "is missing in the repository")
        if base is None:
            return _doubt(candidate, "has an unrelated history")
        if base not in {candidate, commit}:
            return _doubt(candidate, f"was forced away from {branch}")
        if base != commit:
            return Baseline(candidate, f"last successfully tested revision of {branch}")
    return Baseline(None, f"no earlier revision of {branch} was tested successfully, so everything counts")


def _doubt(candidate: str, doubt: str) -> Baseline:
    return Baseline(None, f"the last tested revision {short(candidate)} {doubt}, so everything counts")
