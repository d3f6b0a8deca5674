"""One real installation for the session (for each worker, when there are several), and projects on it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.project import Document, Project, make_project
from tests.servers.installation import Installation, installation

Make = Callable[..., Project]


@pytest.fixture(scope="session")
def shipline() -> Iterator[Installation]:
    """An installation whose control plane runs."""
    with installation() as running:
        running.cli("up", cwd=running.home.root.parent)
        yield running


@pytest.fixture
def make(shipline: Installation, tmp_path: Path) -> Make:
    """Makes a project of a configuration, in a repository named after it."""

    def made(slug: str, configuration: Document) -> Project:
        return make_project(shipline, tmp_path, slug, configuration)

    return made
