"""A project on a control plane elsewhere, as a work tree here knows it: by its source, not by where it lies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from delivery.errors import ConfigurationError, NotFoundError
from shipline.cli.errors import ApiError
from shipline.cli.output import Document

if TYPE_CHECKING:
    from shipline.cli.client import Client


def remote_project(api: "Client", tree: Path) -> Document:
    """The project of a work tree: one that is read from this very folder, else one of the same source.

    What is not known yet is registered by its origin's address, which an admin may.
    """
    known: list[Document] = api.get("/projects")
    found = next((one for one in known if one["location"] == str(tree)), None) or _of_its_source(known, tree)
    return found or dict(api.post("/projects", {"location": address_of(tree)}))


def address_of(tree: Path) -> str:
    """What somebody elsewhere can read a work tree's source from; the folder itself when it has no such origin."""
    from delivery.adapters.git import is_url
    from delivery.adapters.git.location import origin_of

    origin = origin_of(tree)
    return origin if origin and is_url(origin) else str(tree)


def commit_here(tree: Path, name: str) -> str:
    """What a revision's name means in this work tree; what it does not know may mean something there."""
    from delivery.adapters.git.location import resolve

    try:
        return resolve(tree, name)
    except NotFoundError:
        return name


@contextmanager
def explaining_unpushed(*, far: bool) -> Iterator[None]:
    """A commit of this work tree that the control plane cannot have is not wrong, only not there yet."""
    try:
        yield
    except ApiError as error:
        if far and error.code == "not_found" and "there is no such revision" in error.message:
            error.hint = "push it: the control plane reads the project's source, not this work tree"
        raise


def refuse_dirty(tree: Path) -> ConfigurationError:
    """What is not committed cannot be read from elsewhere."""
    return ConfigurationError(
        f"reading {tree} as it is: the control plane of SHIPLINE_URL reads the project's source, not this work tree",
        hint="commit and push it; --dirty works with a control plane that runs here",
    )


def _of_its_source(known: list[Document], tree: Path) -> Document | None:
    from delivery.adapters.git import identify

    source = identify(tree).source
    return next((one for one in known if one["source"] == source), None)
