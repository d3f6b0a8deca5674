"""Checkouts: a clean tree of one revision, with a `.git` of its own that borrows the mirror's objects.

`git clone --shared` copies no history and registers nothing in the mirror, so that deleting the folder
deletes the checkout. Submodules are cloned from where they are recorded. Another checkout of the same
revision begins with what the first one's `.git` held: one git process instead of four.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from delivery.adapters.git.command import GitFolder
from delivery.adapters.git.failures import checked_name
from delivery.adapters.git.location import is_url
from delivery.adapters.git.reading import TreeEntry
from delivery.errors import DeliveryError, PermanentError

Kept = Mapping[Path, bytes | None]
"""The files of a checkout's `.git`, by their path in it; None for a folder, which git wants even when empty."""


def check_out(mirror: Path, revision: str, folder: Path, submodules: Sequence[TreeEntry]) -> Kept | None:
    """Fill an empty folder with exactly that revision; PermanentError when it is not empty.

    What `check_out_again` needs; None when there are submodules, whose repositories are their own.
    """
    doing = f"checking out {revision}"
    _require_empty(doing, folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    GitFolder(folder.parent).output(
        doing, "clone", "--quiet", "--shared", "--no-checkout", "--template=", "--", str(mirror), str(folder)
    )
    git = GitFolder(folder)
    origin = GitFolder(mirror).answer(doing, "config", "--get", "remote.origin.url") or str(mirror)
    git.output(doing, "config", "remote.origin.url", origin)
    git.output(doing, "-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", checked_name(revision))
    for submodule in submodules:
        _check_out_submodule(doing, folder, origin, submodule)
    inside = folder / ".git"
    return None if submodules else {one.relative_to(inside): _content(one) for one in sorted(inside.rglob("*"))}


def check_out_again(revision: str, folder: Path, kept: Kept) -> None:
    """Fill another empty folder with the same."""
    doing = f"checking out {revision}"
    _require_empty(doing, folder)
    (folder / ".git").mkdir(parents=True)
    for path, content in kept.items():
        place = folder / ".git" / path
        if content is None:
            place.mkdir(parents=True)
        else:
            place.write_bytes(content)
    GitFolder(folder).output(doing, "checkout", "--quiet", "--force")


def _require_empty(doing: str, folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise PermanentError(f"{doing}: the folder {folder} is not empty", hint="give an empty folder")


def _content(path: Path) -> bytes | None:
    return None if path.is_dir() else path.read_bytes()


def _check_out_submodule(doing: str, folder: Path, origin: str, submodule: TreeEntry) -> None:
    """As recorded. Only a project that itself lives on this machine may have submodules that do."""
    local = () if is_url(origin) else ("-c", "protocol.file.allow=always")
    about = f"{doing}: submodule '{submodule.path}' at {submodule.object_id}"
    try:
        GitFolder(folder, personal=True).output(
            about,
            *(*local, "submodule", "--quiet", "update", "--init", "--recursive", "--", submodule.path),
            deadline_seconds=900,
        )
    except DeliveryError as error:
        hint = "push that commit of the submodule, or correct its address in .gitmodules"
        raise type(error)(error.message, hint=error.hint or hint) from error
