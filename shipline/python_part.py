"""A Python project in a folder: what it needs, how it is tested, what of it is built."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shipline.project_folder import Folder, FoundService, FoundStep, Part, free, text_of
from shipline.python_start import python_start

_SAYS_PYTEST = re.compile(r"^\s*(?:import|from) pytest\b|^(?:async )?def test_", re.MULTILINE)
_NAMES_PYTEST = ("pyproject.toml", "requirements.txt", "requirements-dev.txt", "setup.cfg", "setup.py", "tox.ini")
_FOR_PYTEST = ("pytest.ini", "conftest.py", "tests/conftest.py", "test/conftest.py")
_FOLDERS = ("tests", "test")
_MOST_TESTS = 50


def python_part(folder: Folder) -> Part:
    """Its steps, and the service that it starts, if any."""
    project = _pyproject(folder)
    install = _install(folder, project)
    lint = FoundStep("lint", folder.commands("python3 -m compileall -q ."), tools=("python3",))
    start = python_start(folder, project, _needs(folder, project))
    services = (_service(folder, start, install),) if start else ()
    return Part(folder.name, folder.folder, "python", (lint, *_unit(folder, install)), services)


def _pyproject(folder: Folder) -> dict[str, Any]:
    """What pyproject.toml says; nothing when it cannot be read."""
    try:
        return tomllib.loads(folder.text("pyproject.toml"))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _install(folder: Folder, project: dict[str, Any]) -> str:
    """What pip is told: the requirements, the project where it can be built, or what it lists; empty for nothing."""
    if folder.has("requirements.txt"):
        return "-r requirements.txt"
    if folder.has("setup.py") or "build-system" in project:
        return "."
    return " ".join(map(shlex.quote, _listed(project)))


def _listed(project: dict[str, Any]) -> list[str]:
    table = project.get("project")
    needs = table.get("dependencies") if isinstance(table, dict) else None
    return [one for one in needs if isinstance(one, str) and one.isprintable()] if isinstance(needs, list) else []


def _needs(folder: Folder, project: dict[str, Any]) -> str:
    """Every text that names a requirement."""
    files = (folder.text(name) for name in ("requirements.txt", "setup.py", "setup.cfg", "Pipfile"))
    return "\n".join((*files, *_listed(project), str(project.get("tool", {}))))


def _unit(folder: Folder, install: str) -> Iterator[FoundStep]:
    tests = _tests(folder.here)
    if _wants_pytest(folder, tests):
        lines = (*_environment(f"{install} pytest"), f"{_path(folder)}.venv/bin/python -m pytest --junitxml=report.xml")
        yield FoundStep("unit", folder.commands(*lines), folder.inside("report.xml"), ("python3",))
    elif tests:
        python = ".venv/bin/python" if install else "python3"
        run = f"{_path(folder)}{python} -m unittest discover{_where(folder)}"
        yield FoundStep("unit", folder.commands(*(_environment(install) if install else ()), run), tools=("python3",))


def _tests(here: Path) -> list[Path]:
    """Files that look like tests."""
    found = [*here.glob("test*.py")]
    for folder in (here / name for name in _FOLDERS):
        found += [*folder.rglob("test*.py"), *folder.rglob("*_test.py")]
    return sorted(found)[:_MOST_TESTS]


def _wants_pytest(folder: Folder, tests: list[Path]) -> bool:
    """Whether it says so, or unittest would not find the tests."""
    named = any("pytest" in folder.text(name) for name in _NAMES_PYTEST)
    hidden = bool(tests) and not any(_by_unittest(folder, name) for name in (".", *_FOLDERS))
    told = any(map(folder.has, _FOR_PYTEST)) or any(_SAYS_PYTEST.search(text_of(one)) for one in tests)
    return named or hidden or told


def _by_unittest(folder: Folder, name: str) -> bool:
    return any((folder.here / name).glob("test*.py"))


def _environment(install: str) -> tuple[str, str]:
    return "python3 -m venv .venv", f".venv/bin/pip install --quiet {install.strip()}"


def _where(folder: Folder) -> str:
    """Where unittest looks; with the project as its top only for a package: it could not import others from there."""
    found = next((name for name in _FOLDERS if _by_unittest(folder, name)), "")
    top = " -t ." if folder.has(f"{found}/__init__.py") else ""
    return f" -s {found}{top}" if found else ""


def _path(folder: Folder) -> str:
    return "PYTHONPATH=src " if (folder.here / "src").is_dir() else ""


def _service(folder: Folder, start: str, install: str) -> FoundService:
    name = free(folder.name, folder.services, "python")
    output, target = folder.output(name)
    lines = [f"mkdir -p {target}", f"cp -R {folder.copied()} {target}/"]
    if install:
        lines.insert(1, f"python3 -m pip install --quiet --no-compile --target {target} {install}")
    path = ".:src" if (folder.here / "src").is_dir() else "."
    environment = (("PYTHONPATH", path), ("PYTHONDONTWRITEBYTECODE", "1"))
    return FoundService(name, folder.paths(), folder.commands(*lines), output, start, environment)
