"""Plans as the control plane makes them of what somebody typed, over a real work tree and mirror."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from delivery.adapters.git import SourceMirror
from delivery.caching.tiers import Asking, SharedTier
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


def test_only_a_clean_revision_of_the_registered_default_branch_may_be_shared(
    ports: Connections, repository: Repository
) -> None:
    """Neither a tag of that name nor what a revision says of itself makes it one."""
    near = ports.near.store, ports.near.steps
    shared = replace(ports, shared=SharedTier(near, near, Asking("s3://cache")))
    project = str(register(ports, str(repository.folder), None, ADA)["slug"])
    assert plan(shared, project, Asked("main")).shares
    assert plan(shared, project, Asked("main~1")).shares
    assert not plan(ports, project, Asked("main")).shares, "there is no shared cache"
    repository.git("checkout", "--quiet", "-b", "topic")
    repository.commit({"shipline.yaml": CONFIGURATION + "default_branch: topic\n"})
    repository.git("tag", "main")
    assert not plan(shared, project, Asked("topic")).shares
    (repository.folder / "a").write_text("2")
    repository.git("checkout", "--quiet", "refs/heads/main")
    assert not plan(shared, project, Asked(dirty=True)).shares
    repository.git("checkout", "--quiet", "topic")
    repository.git("branch", "--delete", "--force", "main")
    assert not plan(shared, project, Asked("topic")).shares, "the branch is gone"
