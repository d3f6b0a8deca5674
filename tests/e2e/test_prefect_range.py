"""Both ends of the range of Prefect that we promise: the installed one, and the other, where it installs."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import distributions, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
OLDEST, NEWEST = "prefect==3.8.8", "prefect>=3.9,<3.10"
TESTED_WITH = ("editables", "hatchling", "packaging", "pytest", "pytest-timeout")
PROVING = ("tests/contract/test_flow_runs.py", "tests/deployments")
"""Deployments, a worker and flow runs on a real server of that version."""
INSTALL_SECONDS = 600


def ours() -> list[Requirement]:
    """What Shipline itself needs."""
    return [Requirement(one) for one in requires("shipline") or []]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Where programs may live that another account runs, as PostgreSQL's are when we are root."""
    with tempfile.TemporaryDirectory(prefix="shipline-range-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_the_installed_prefect_is_in_the_range_that_is_promised() -> None:
    (promised,) = (one for one in ours() if one.name == "prefect")
    assert promised.specifier.contains(version("prefect"))
    assert {one: promised.specifier.contains(one) for one in ("3.8.7", "3.8.8", "3.9.99", "3.10.0")} == {
        "3.8.7": False,
        "3.8.8": True,
        "3.9.99": True,
        "3.10.0": False,
    }


@pytest.mark.network
@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_flow_runs_start_with_the_other_end_of_the_range(open_folder: Path) -> None:
    other = NEWEST if version("prefect").startswith("3.8.") else OLDEST
    locked = resolved(open_folder, other)
    place = open_folder / "environment"
    done("venv", "--quiet", "--python", sys.executable, str(place))
    python = str(place / "bin" / "python")
    done("pip", "install", "--quiet", "--python", python, "-r", str(locked))
    done("pip", "install", "--quiet", "--python", python, "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    proved = subprocess.run(
        [python, "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider", *PROVING],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
    )
    assert proved.returncode == 0, proved.stdout[-5000:] + proved.stderr[-2000:]


def resolved(folder: Path, other: str) -> Path:
    """A lock with that Prefect, as close to what is installed here as it allows; skips when there is none."""
    wanted, here, lock = folder / "wanted.in", folder / "here.txt", folder / "lock.txt"
    rest = [str(one) for one in ours() if one.name != "prefect"]
    wanted.write_text("\n".join([other, *rest, *TESTED_WITH]))
    installed = {f"{one.name}=={one.version}" for one in distributions() if one.name not in {"prefect", "shipline"}}
    here.write_text("\n".join(sorted(installed)))
    compiling = ("pip", "compile", "--quiet", "--no-header", str(wanted), "-o", str(lock))
    if uv(*compiling, "-c", str(here)).returncode:
        free = uv(*compiling)
        if free.returncode:
            pytest.skip(f"{other} cannot be installed here: {' '.join(free.stderr.split())}")
    return lock


def done(*words: str) -> None:
    """A uv command that has to succeed."""
    ended = uv(*words)
    assert ended.returncode == 0, ended.stderr


def uv(*words: str) -> subprocess.CompletedProcess[str]:
    """A uv command, run to its end."""
    return subprocess.run(
        [UV, *words],
        env={**os.environ, "VIRTUAL_ENV": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
    )
