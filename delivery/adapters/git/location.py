"""Locations: what a person names as a source, a folder of a work tree or a URL, seen without changing it."""

import os
import re
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
    place = top_folder(location)
    source = _source_of(place, common_folder(place))
    return SourceIdentity(source, _default_branch(place), slug_of(source), str(place))


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
    place = top_folder(location)
    git = GitFolder(place, personal=True)
    return not is_bare(place) and bool(
        git.output(f"reading {location}", "status", "--porcelain", "-z", "--untracked-files=normal")
    )


def is_shallow(location: str | Path) -> bool:
    """Whether a clone has only a part of the history."""
    git = GitFolder(top_folder(location), personal=True)
    return git.text(f"reading {location}", "rev-parse", "--is-shallow-repository") == "true"


def resolve(location: str | Path, name: str) -> str:
    """The full commit that a name means in a work tree (`HEAD`, `HEAD~2`, a branch); NotFoundError when none."""
    git = GitFolder(top_folder(location), personal=True)
    doing = f"resolving '{name}' in {location}"
    return git.text(doing, "rev-parse", "--verify", "--end-of-options", f"{checked_name(name)}^{{commit}}")


def is_url(location: str | Path) -> bool:
    """Whether git would go to a network (or a `file://`) for it."""
    return isinstance(location, str) and not Path(location).exists() and bool(_as_url(location))


def top_folder(location: str | Path) -> Path:
    """The work tree's top, or the git folder of a bare repository."""
    here = Path(location).expanduser().absolute()
    if not here.is_dir():
        raise NotFoundError(f"reading {here}: there is no such folder", hint="give an existing folder or a URL")
    git = GitFolder(here, personal=True)
    doing = f"reading {here}"
    told = git.text(doing, "rev-parse", "--is-inside-work-tree", "--path-format=absolute", "--git-dir", "--show-cdup")
    inside, git_folder, *upwards = told.split("\n")
    return (here.resolve() / "".join(upwards)).resolve() if inside == "true" else Path(git_folder)


def is_bare(place: Path) -> bool:
    """Whether a repository has no work tree of its own."""
    return GitFolder(place, personal=True).text(f"reading {place}", "rev-parse", "--is-bare-repository") == "true"


def common_folder(place: Path) -> Path:
    """The git folder that all linked work trees share."""
    git = GitFolder(place, personal=True)
    return Path(git.text(f"reading {place}", "rev-parse", "--path-format=absolute", "--git-common-dir")).resolve()


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


def refuse_shallow(location: str | Path) -> None:
    """ConfigurationError for a shallow clone: changes and versions need the whole history."""
    if is_shallow(location):
        raise ConfigurationError(f"reading {location}: the clone is shallow", hint=_UNSHALLOW)


def require_history(location: str | Path) -> None:
    """ConfigurationError for a folder that nothing can be delivered from: without commits, or a shallow clone."""
    refuse_shallow(location)
    place = top_folder(location)
    if not is_bare(place):
        head(place)
    elif not GitFolder(place, personal=True).text(f"reading {place}", "for-each-ref", "--count=1"):
        raise no_commits(place)


def _identify_url(url: str) -> SourceIdentity:
    doing = f"reading {without_credentials(url)}"
    git = GitFolder(Path(os.sep), personal=True)
    listed = git.text(doing, "ls-remote", "--symref", "--", url, "HEAD")
    branch = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", listed, re.MULTILINE)
    source = source_of_url(url)
    return SourceIdentity(source, branch[1] if branch else "main", slug_of(source), without_password(url))


def _source_of(place: Path, common: Path) -> str:
    """An origin on this machine is followed to its git folder, so that it and its clones are one source."""
    origin = origin_of(place)
    if origin is None:
        return str(common)
    address = _as_url(origin)
    if address and not address.startswith("file:"):
        return source_of_url(origin)
    folder = Path(urlsplit(origin).path) if address else Path(origin)
    try:
        return str(common_folder(folder))
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
