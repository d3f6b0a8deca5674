"""Plans of real repositories: what git tells is what the plan says."""

from collections.abc import Collection
from pathlib import Path

import pytest

from delivery.adapters.git import SourceMirror
from delivery.artifact import Artifact, Digest
from delivery.config import Configuration
from delivery.plan import Action, Plan
from delivery.planning import PlanRequest, Surroundings, make_plan
from tests.fakes.store import InMemoryStepCache, InMemoryStore
from tests.repositories import Made, Repository, Submodule, make_repository

SERVICE = {"build": {"command": "make"}, "run": {"command": "serve"}}
CONFIGURATION = Configuration.model_validate(
    {
        "version": 1,
        "services": {"api": {**SERVICE, "paths": ["api"]}, "web": {**SERVICE, "paths": ["web", "vendor"]}},
        "steps": {"unit": {"command": "test", "per": "service"}},
    }
)
TEXT = "".join(f"line {number}\n" for number in range(40))
HISTORY = (
    Made({"api/a.py": TEXT, "web/w.html": "<p>", "vendor/lib": Submodule("1" * 40), "api/run": "x"}, label="base"),
    Made({"api/a.py": None, "web/a.py": TEXT}, label="moved", branch="moved", after="base"),
    Made({"vendor/lib": Submodule("2" * 40)}, label="bumped", branch="bumped", after="base"),
    Made({"api/run": "x"}, label="mode", branch="mode", after="base", executable=frozenset({"api/run"})),
    Made({"api/a.py": "other"}, label="alone", branch="alone"),
)


class NoBuilds:
    def by_key(self, build_key: Digest) -> Artifact | None:
        assert build_key
        return None

    def by_keys(self, build_keys: Collection[Digest]) -> dict[Digest, Artifact]:
        assert build_keys
        return {}


def plan(repository: Repository, tmp_path: Path, name: str, *tested: str) -> Plan:
    mirror = SourceMirror(tmp_path / "project.git")
    mirror.fetch(repository.folder)
    source, store = mirror.repository(), InMemoryStore()
    request = PlanRequest("shop", source.resolve(name), CONFIGURATION, tested=tested)
    made = make_plan(request, Surroundings(source, InMemoryStepCache(store), NoBuilds(), str, "linux/x86_64"))
    store.close()
    return made


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return make_repository(tmp_path, HISTORY)


@pytest.mark.parametrize(
    ("branch", "because"),
    [
        ("moved", {"api": "changed: api/a.py", "web": "changed: web/a.py"}),
        ("bumped", {"web": "changed: vendor/lib"}),
        ("mode", {"api": "changed: api/run"}),
    ],
)
def test_every_kind_of_change_reaches_its_services(
    repository: Repository, tmp_path: Path, branch: str, because: dict[str, str]
) -> None:
    made = plan(repository, tmp_path, branch)

    assert made.changes.base == repository.ids["base"]
    assert {one.name: one.because[0] for one in made.services if one.impacted} == because
    assert {one.service for one in made.steps if one.action is Action.RUN} == set(because)


def test_an_unrelated_branch_runs_everything(repository: Repository, tmp_path: Path) -> None:
    made = plan(repository, tmp_path, "alone")

    assert (made.changes.base, made.changes.base_because) == (
        None,
        "the history is unrelated to main, so everything counts",
    )
    assert [one.path for one in made.changes.changes] == ["api/a.py"]
    assert {one.action for one in made.steps} == {Action.RUN}


def test_a_forced_update_runs_everything(repository: Repository, tmp_path: Path) -> None:
    repository.git("switch", "--quiet", "main")
    tested = repository.commit({"api/a.py": "tested"})
    plan(repository, tmp_path, "main")
    repository.git("reset", "--quiet", "--hard", repository.ids["base"])
    repository.commit({"api/a.py": "forced"})

    made = plan(repository, tmp_path, "main", tested, repository.ids["base"])

    assert made.changes.base_because == (
        f"the last tested revision {tested[:7]} was forced away from main, so everything counts"
    )


def test_the_default_branch_is_planned_from_its_last_tested_revision(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"web/w.html": "<b>"})

    made = plan(repository, tmp_path, "main", repository.ids["base"])

    assert made.changes.base == repository.ids["base"]
    assert [one.name for one in made.services if one.impacted] == ["web"]
