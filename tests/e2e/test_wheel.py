"""What is installed from the wheel works without the checkout."""

import os
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, seconds: float = 600) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SHIPLINE_"))}
    environment["SHIPLINE_HOME"] = str(cwd / "home")
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=seconds
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return next(folder.glob("shipline-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an empty environment with the lock and the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--no-deps", "--require-hashes", "-r", ROOT / "requirements.lock", cwd=folder)
    run(*pip, "--no-deps", wheel, cwd=folder)
    return folder / "bin"


def test_the_wheel_holds_every_room_with_what_is_not_python_too(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = {
        str(path.relative_to(ROOT))
        for package in ("delivery", "blocks", "flows", "deployments", "shipline")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_command_works_from_any_folder(installed: Path, tmp_path: Path) -> None:
    assert "tour" in run(installed / "shipline", "--help", cwd=tmp_path)


def test_flows_and_block_types_are_importable_and_come_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    script = (
        "import blocks, deployments.apply, flows.deliver_revision, flows.promote_release, flows.report_dora;"
        "print(blocks.__file__)"
    )
    assert str(installed.parent) in run(installed / "python", "-I", "-c", script, cwd=tmp_path)


def test_the_tour_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    run(installed / "shipline", "tour", cwd=tmp_path)
