"""Checkouts: a clean tree of one revision, with a `.git` of its own that borrows the mirror's objects.

`git clone --shared` copies no history and registers nothing in the mirror, so that deleting the folder
deletes the checkout. Submodules are cloned from where they are recorded.
"""

from collections.abc import Sequence
from pathlib import Path

from delivery.adapters.git.command import GitFolder
from delivery.adapters.git.failures import checked_name
from delivery.adapters.git.location import is_url
from delivery.adapters.git.reading import TreeEntry
from delivery.errors import DeliveryError, PermanentError


def check_out(mirror: Path, revision: str, folder: Path, submodules: Sequence[TreeEntry]) -> None:
    """Fill an empty folder with exactly that revision; PermanentError when it is not empty."""
    doing = f"checking out {revision}"
    if folder.exists() and any(folder.iterdir()):
        raise PermanentError(f"{doing}: the folder {folder} is not empty", hint="give an empty folder")
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
