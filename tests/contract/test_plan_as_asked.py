"""Plans as the control plane makes them of what somebody typed, over a real work tree and mirror."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from delivery.adapters.git import SourceMirror
from delivery.connections import Connections
from delivery.home import Home
from shipline.control.planning import Asked, plan
from shipline.control.projects import register
from tests.fakes.connections import Installation
from tests.fakes.shop import ADA
from tests.repositories import Made, Repository, make_repository

CONFIGURATION = "version: 1\nsteps: {unit: {command: make test}}\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return make_repository(tmp_path, [Made({"shipline.yaml": CONFIGURATION}, label="first"), Made({"a": "1"})])


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[Connections]:
    installation, home = Installation(Home(tmp_path / "home")), Home(tmp_path / "home")
    yield replace(installation.connect(), source=lambda project: SourceMirror(home.source(project)).repository())
    installation.store.close()


@pytest.mark.parametrize("base", ["main~1", "HEAD~1"])
def test_a_base_is_called_what_was_typed(ports: Connections, repository: Repository, base: str) -> None:
    project = str(register(ports, str(repository.folder), None, ADA)["slug"])
    changes = plan(ports, project, Asked(base=base)).changes
    assert (changes.base, changes.base_because) == (repository.ids["first"], f"asked for with --base {base}")
