"""Two homes are two installations: neither sees, serves or stops what is the other's."""

import pytest

from tests.e2e.project import configuration, environment, make_project
from tests.servers.installation import Installation, installation

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]


def test_two_homes_never_meet(shipline: Installation, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("homes")
    project = make_project(shipline, folder, "homes", configuration(environments={"dev": environment()}))
    project.ask("secret", "set", "TOKEN", given="only-in-the-first-home")
    with installation() as other:
        first, second = (one.cli("up", "--json", cwd=folder).json["components"] for one in (shipline, other))
        assert {one["url"] for one in first if one["url"]}.isdisjoint(one["url"] for one in second)
        assert other.cli("project", "list", "--json", cwd=folder).json == []
        assert other.cli("project", "add", "--json", cwd=project.folder).json["slug"] == "homes"
        assert other.cli("secret", "list", "--json", cwd=project.folder).json == []
        wrong = other.home.credentials / "api-token"
        wrong.write_text((shipline.home.credentials / "api-token").read_text())
        refused = other.cli("status", "--json", cwd=project.folder, check=2).error
        assert "token" in refused["message"], "the token of one is not the token of the other"
    assert [one["name"] for one in project.ask("secret", "list")] == ["TOKEN"], "stopping one leaves the other"
