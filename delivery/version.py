"""Versions: the SemVer label of a revision, read from the tags on it and its ancestors."""

import re
from collections.abc import Callable, Sequence

import semver

from delivery.ports import SourceRepository
from delivery.source import Revision

_TAG = re.compile(r"v?(?P<version>\d.*)")
_SHORT = 7


def version_of(revision: Revision, source: SourceRepository) -> str:
    """The version of a revision as its repository tells it."""
    commit = revision.based_on or revision.commit
    return next_version(source.version_tags(commit), revision, lambda base: source.count(base, commit))


def next_version(
    tags: Sequence[tuple[str, str]], revision: Revision, commits_since: Callable[[str | None], int]
) -> str:
    """The tag on the revision itself, else the version that comes after the highest tag of its ancestors.

    `1.4.0` is followed by `1.4.1-dev.7+g1a2b3c4` (commits since, commit), `1.5.0-rc.1` by `1.5.0-rc.1.dev.7+g...`, and
    no tag at all gives `0.1.0-dev.7+g...`. Uncommitted changes add `.dirty`. Tags that are no SemVer, with or without
    a `v` in front, are ignored.
    """
    commit = revision.based_on or revision.commit
    versions = [(version, at) for tag, at in tags if (version := parse_tag(tag))]
    here = [version for version, at in versions if at == commit]
    if here and not revision.dirty:
        return str(max(here))
    last, at = max(versions, default=(None, None))
    following = f"{_after(last)}.{commits_since(at)}"
    return f"{following}+g{commit[:_SHORT]}{'.dirty' if revision.dirty else ''}"


def parse_tag(tag: str) -> semver.Version | None:
    """The version that a tag names, or None."""
    found = _TAG.fullmatch(tag)
    if not found or not semver.Version.is_valid(found["version"]):
        return None
    return semver.Version.parse(found["version"])


def _after(last: semver.Version | None) -> str:
    if last is None:
        return "0.1.0-dev"
    if last.prerelease:
        return f"{last.replace(build=None)}.dev"
    return f"{last.bump_patch()}-dev"
