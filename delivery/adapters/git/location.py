"""Locations: what a person names as a source, a folder of a work tree or a URL, seen without changing it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from delivery.adapters.git.command import GitFolder
from delivery.adapters.git.failures import checked_name, without_credentials
from delivery.errors import ConfigurationError, NotFoundError
from delivery.source import Head, SourceIdentity

_SCP = re.compile(r"(?:(?P<user>[^@/\s]+)@)?(?P<host>[^:/\s]+):(?P<path>[^\s]+)")
_UNSHALLOW = "fetch the whole history: git fetch --unshallow (in a CI checkout: fetch depth 0)"


def identify(location: str | Path) -> SourceIdentity:
    """Which source a work tree, a bare repository or a URL belongs to.

    ConfigurationError when it is not a git repository; TransientError when a URL does not answer.
    """
    if is_url(location):
        return _identify_url(str(location))
    place = look(location)
    source = _source_of(place)
    return SourceIdentity(source, _default_branch(place.top), slug_of(source), str(place.top))


def head(location: str | Path) -> Head:
    """The commit and branch that a work tree stands on; ConfigurationError when there is no commit yet."""
    git = GitFolder(top_folder(location), personal=True)
    commit = git.answer(f"reading {location}", "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if commit is None:
        raise no_commits(location)
    branch = git.answer(f"reading {location}", "symbolic-ref", "--quiet", "--short", "HEAD")
    return Head(commit, branch)


def dirty(location: str | Path) -> bool:
    """Whether the work tree has uncommitted changes or files that are neither tracked nor ignored."""
    place = look(location)
    git = GitFolder(place.top, personal=True)
    return not place.bare and bool(
        git.output(f"reading {location}", "status", "--porcelain", "-z", "--untracked-files=normal")
    )


def is_shallow(location: str | Path) -> bool:
    """Whether a clone has only a part of the history."""
    return look(location).shallow


def resolve(location: str | Path, name: str) -> str:
    """The full commit that a name means in a work tree (`HEAD`, `HEAD~2`, a branch); NotFoundError when none."""
    git = GitFolder(top_folder(location), personal=True)
    doing = f"resolving '{name}' in {location}"
    return git.text(doing, "rev-parse", "--verify", "--end-of-options", f"{checked_name(name)}^{{commit}}")


def is_url(location: str | Path) -> bool:
    """Whether git would go to a network (or a `file://`) for it."""
    return isinstance(location, str) and not Path(location).exists() and bool(_as_url(location))


@dataclass(frozen=True, slots=True)
class Place:
    """A repository on this machine, asked once: each question on its own would take a process."""

    top: Path
    """The work tree's top, or the git folder of a bare repository."""
    common: Path
    """The git folder that all linked work trees share."""
    bare: bool
    shallow: bool


_ASKED = ("--is-inside-work-tree", "--is-bare-repository", "--is-shallow-repository")
_FOLDERS = ("--path-format=absolute", "--git-dir", "--git-common-dir", "--show-cdup")


def look(location: str | Path) -> Place:
    """What a folder belongs to."""
    here = Path(location).expanduser().absolute()
    if not here.is_dir():
        raise NotFoundError(f"reading {here}: there is no such folder", hint="give an existing folder or a URL")
    told = GitFolder(here, personal=True).text(f"reading {here}", "rev-parse", *_ASKED, *_FOLDERS)
    inside, bare, shallow, git_folder, common, *upwards = told.split("\n")
    top = (here.resolve() / "".join(upwards)).resolve() if inside == "true" else Path(git_folder)
    return Place(top, Path(common).resolve(), bare == "true", shallow == "true")


def top_folder(location: str | Path) -> Path:
    """The work tree's top, or the git folder of a bare repository."""
    return look(location).top


def origin_of(place: Path) -> str | None:
    """The address of the remote `origin`, as it is configured; a relative one is made absolute."""
    git = GitFolder(place, personal=True)
    origin = git.answer(f"reading {place}", "config", "--get", "remote.origin.url")
    if origin and not _as_url(origin):
        return str((place / Path(origin).expanduser()).resolve())
    return origin or None


def source_of_url(url: str) -> str:
    """`host/path`: the same for https, ssh and `git@host:path`, with or without credentials and `.git`."""
    parts = urlsplit(_as_url(url) or url)
    if parts.scheme == "file":
        return str(Path(parts.path).resolve())
    port = f":{parts.port}" if parts.port and parts.port not in {22, 80, 443} else ""
    path = re.sub(r"/{2,}", "/", parts.path).strip("/").removesuffix(".git")
    return f"{(parts.hostname or '').lower()}{port}/{path}"


def slug_of(source: str) -> str:
    """A project's name from the last part of a source."""
    path = source.rstrip("/").removesuffix("/.git").removesuffix(".git")
    slug = re.sub(r"[^a-z0-9]+", "-", path.rsplit("/", 1)[-1].lower()).strip("-")[:40].rstrip("-")
    return slug or "project"


def without_password(url: str) -> str:
    """A URL that can be stored: an SSH user name stays, everything secret goes."""
    parts = urlsplit(_as_url(url) or url)
    user = f"{parts.username}@" if parts.username and parts.scheme == "ssh" else ""
    place = user + parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def no_commits(location: str | Path) -> ConfigurationError:
    """The refusal of a repository that has nothing to deliver yet."""
    return ConfigurationError(
        f"reading {without_credentials(str(location))}: the repository has no commits",
        hint="make one: git add -A && git commit",
    )


def require_history(location: str | Path) -> Place:
    """A folder that something can be delivered from; ConfigurationError when it has no commits or not all of them."""
    place = look(location)
    if place.shallow:
        raise ConfigurationError(f"reading {location}: the clone is shallow", hint=_UNSHALLOW)
    git, doing = GitFolder(place.top, personal=True), f"reading {place.top}"
    if not place.bare:
        found = git.answer(doing, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    else:
        found = git.text(doing, "for-each-ref", "--count=1")
    if not found:
        raise no_commits(place.top)
    return place


def _identify_url(url: str) -> SourceIdentity:
    doing = f"reading {without_credentials(url)}"
    git = GitFolder(Path(os.sep), personal=True)
    listed = git.text(doing, "ls-remote", "--symref", "--", url, "HEAD")
    branch = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", listed, re.MULTILINE)
    source = source_of_url(url)
    return SourceIdentity(source, branch[1] if branch else "main", slug_of(source), without_password(url))


def _source_of(place: Place) -> str:
    """An origin on this machine is followed to its git folder, so that it and its clones are one source."""
    origin = origin_of(place.top)
    if origin is None:
        return str(place.common)
    address = _as_url(origin)
    if address and not address.startswith("file:"):
        return source_of_url(origin)
    folder = Path(urlsplit(origin).path) if address else Path(origin)
    try:
        return str(look(folder).common)
    except ConfigurationError:
        return str(folder.resolve())


def _default_branch(place: Path) -> str:
    """What the origin says, else `main` or `master` if there is one, else the branch that is checked out."""
    git = GitFolder(place, personal=True)
    doing = f"reading {place}"
    if told := git.answer(doing, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"):
        return told.removeprefix("origin/")
    for name in ("main", "master"):
        if git.answer(doing, "rev-parse", "--verify", "--quiet", f"refs/heads/{name}") is not None:
            return name
    return git.answer(doing, "symbolic-ref", "--quiet", "--short", "HEAD") or "main"


def _as_url(location: str) -> str | None:
    """The location as a URL (`git@host:path` becomes ssh), or None for a path."""
    if re.match(r"\w[\w+.-]*://", location):
        return location
    if (scp := _SCP.fullmatch(location)) and "/" not in scp["host"]:
        return f"ssh://{scp['user'] + '@' if scp['user'] else ''}{scp['host']}/{scp['path'].lstrip('/')}"
    return None
