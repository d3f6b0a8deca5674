"""What the project says of itself in several places must agree."""

import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_wheel_types_and_import_contracts_cover_the_same_packages(project: dict[str, Any]) -> None:
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert packages == project["tool"]["mypy"]["packages"]
    assert sorted(packages) == sorted(project["tool"]["importlinter"]["root_packages"])
    assert all((ROOT / package / "__init__.py").exists() for package in packages)


def test_every_folder_with_code_is_in_the_wheel(project: dict[str, Any]) -> None:
    """A folder without `__init__.py` would import in a checkout and be missing from what is installed."""
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    folders = {path.parent for package in packages for path in (ROOT / package).rglob("*.py")}
    assert [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_prefect_finds_our_block_types() -> None:
    found = [one.load() for one in entry_points(group="prefect.collections") if one.name == "shipline"]
    assert [sorted(one.__all__) for one in found] == [
        ["ArtifactStore", "LocalEnvironment", "SecretStore", "SourceRepository"]
    ]


def test_the_lock_names_no_registry() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert [line for line in lines if "://" in line or line.startswith("-")] == []


def test_the_lock_serves_every_supported_python() -> None:
    """`async-timeout` is needed before 3.11.3 only: its marker shows that the lock is not one interpreter's."""
    assert "async-timeout==" in (ROOT / "requirements.lock").read_text()


def test_the_licence_is_there(project: dict[str, Any]) -> None:
    assert project["project"]["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()
