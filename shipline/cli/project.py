"""`shipline project`: which projects this control plane knows."""

import os
from pathlib import Path
from typing import Annotated

import typer

from shipline.cli.output import Document, table
from shipline.cli.remote import address_of
from shipline.cli.session import Session, work_tree


def add(
    session: Session,
    location: Annotated[str, typer.Argument(help="A folder in a git work tree, or the address of a repository.")] = ".",
    *,
    slug: Annotated[str | None, typer.Option(help="Its name here; otherwise the last part of its source.")] = None,
) -> None:
    """Register a project.

    A work tree that you stand in is registered by itself. Elsewhere, by SHIPLINE_URL, it is known by its origin.

    Example: shipline project add ~/src/shop --slug shop
    """
    place = _place(work_tree(Path(location))) if Path(location).expanduser().exists() else location
    body = {"location": place} | ({"slug": slug} if slug else {})
    session.show(session.api.post("/projects", body), lambda one: _render([one]))


def show(session: Session) -> None:
    """List the registered projects.

    Example: shipline project list --json
    """
    session.show(session.api.get("/projects"), _render)


def _place(tree: Path) -> str:
    return address_of(tree) if os.environ.get("SHIPLINE_URL") else str(tree)


def _render(projects: list[Document]) -> None:
    rows = [(one["slug"], one.get("source"), one.get("default_branch")) for one in projects]
    table(("PROJECT", "SOURCE", "DEFAULT BRANCH"), rows)
