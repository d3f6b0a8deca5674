"""An account without privileges where tests run as root: only there does isolation protect, and not just hide."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from delivery.runner import SYSTEM_PATH

ROOT = Path(__file__).parents[2]
_RUNS = "import delivery, psycopg, subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
"""By itself, too: what changes to the account has root's rights until it starts the interpreter."""


@dataclass(frozen=True, slots=True)
class OrdinaryAccount:
    """How to run programs as somebody who is not root."""

    folder: Path
    """Of its own."""
    python: str = sys.executable
    """An interpreter with our packages, and what they need, that it may run."""
    before: tuple[str, ...] = ()
    """What changes to the account."""
    number: int | None = None

    def command(self, *arguments: str) -> tuple[str, ...]:
        """The arguments that run Python as the account."""
        return (*self.before, self.python, *arguments)

    @property
    def environment(self) -> dict[str, str]:
        """What its programs find."""
        return {"PATH": SYSTEM_PATH, "HOME": str(self.folder), "TMPDIR": str(self.folder), "LANG": "C.UTF-8"}

    def give(self, folder: Path) -> None:
        """Make a folder, and what is in it, the account's."""
        if self.number is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self.number, self.number, follow_symlinks=False)


@contextmanager
def ordinary_account() -> Iterator[OrdinaryAccount]:
    """Ourselves; as root `nobody`, with another interpreter when ours stands where nobody else gets to."""
    folder = Path(tempfile.mkdtemp(prefix="sl-", dir="/tmp"))  # PostgreSQL's socket needs a short path
    try:
        yield OrdinaryAccount(folder) if os.geteuid() != 0 else _nobody(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _nobody(folder: Path) -> OrdinaryAccount:
    number = pwd.getpwnam("nobody").pw_uid
    before = ("setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups")
    os.chown(folder, number, number)
    if _runs((*before, sys.executable)):
        return OrdinaryAccount(folder, sys.executable, before, number)
    python = _environment(folder / "venv")
    if not _runs((*before, str(python))):
        pytest.skip("the account 'nobody' has no Python here that could run this")
    return OrdinaryAccount(folder, str(python), before, number)


def _environment(folder: Path) -> Path:
    """Of the system's Python, if it has our version; it finds our packages where they are."""
    system = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    if system.exists():
        subprocess.run([system, "-m", "venv", "--without-pip", folder], check=True)
        (packages,) = (folder / "lib").glob("python*/site-packages")
        ours = [place for place in sys.path if place.endswith("site-packages")]
        (packages / "ours.pth").write_text("\n".join((*ours, str(ROOT))))
    return folder / "bin" / "python"


def _runs(python: tuple[str, ...]) -> bool:
    try:
        return subprocess.run((*python, "-I", "-c", _RUNS), check=False, capture_output=True, cwd="/").returncode == 0
    except FileNotFoundError:
        return False
