"""Two installations and one shared cache: what the default branch has tested, the other one need not."""

from pathlib import Path

import pytest

from tests.e2e.project import configuration, make_project
from tests.servers.installation import Installation, installation
from tests.servers.object_storage import READER, WRITER, ObjectStorage, as_identity

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]
STEPS = {"unit": {"command": "cat data && sleep 1.1", "inputs": ["data"]}}


def test_the_default_branch_fills_it_and_others_read_it(object_storage: ObjectStorage, tmp_path: Path) -> None:
    place = object_storage.settings()
    where = {"SHIPLINE_CACHE_URL": place.address, "SHIPLINE_CACHE_ENDPOINT_URL": object_storage.endpoint}
    with installation({**where, **as_identity(WRITER)}) as one:
        project = make_project(one, tmp_path, "shared", configuration(steps=STEPS))
        project.repository.git("checkout", "--quiet", "-b", "topic")
        project.commit({"data": "of a topic"})
        assert project.ask("run", "--only", "unit")["state"] == "Completed"
        (project.folder / "data").write_text("not even committed")
        project.ask("run", "--only", "unit", "--dirty")
        project.repository.git("checkout", "--quiet", "--", "data")
        project.repository.git("tag", "main")
        project.ask("run", "--only", "unit", "HEAD")
        project.repository.git("tag", "--delete", "main")
        assert object_storage.names(place) == [], "neither a topic nor a dirty tree nor a tag of that name may"

        project.repository.git("checkout", "--quiet", "main")
        project.repository.git("merge", "--quiet", "--ff-only", "topic")
        merged = project.ask("run", "--only", "unit")
        assert [step["state"] for step in merged["steps"]] == ["Completed"], "it takes nothing that a topic has made"
        assert len(object_storage.names(place)) == 2
        assert project.ask("cache", "stats")["shared"] == {"address": place.address, "problem": None}
        _reused_elsewhere(where, project.folder, merged["id"])


def _reused_elsewhere(where: dict[str, str], folder: Path, run: str) -> None:
    with installation({**where, **as_identity(READER)}) as other:
        assert other.cli("project", "add", "--json", cwd=folder).json["slug"] == "shared"
        [why] = other.cli("cache", "why", "unit", "--json", cwd=folder).json["steps"]
        assert (why["because"], why["nearest"]["run"]) == (f"nothing differs: reused from run {run}", run)
        [unit] = other.cli("run", "--only", "unit", "--json", cwd=folder).json["steps"]
        assert (unit["state"], unit["reused"]) == ("Cached", True)
        assert unit["saved_seconds"] > 1
        assert "of a topic" in other.cli("logs", _newest(other), "--step", "unit", cwd=folder).out


def _newest(shipline: Installation) -> str:
    return max(path.name for path in (shipline.home.logs / "runs").iterdir())
