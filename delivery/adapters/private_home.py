"""The home is for its owner only: credentials lie in it, and logs may hold what nobody knew to be secret."""

import os
import stat
from pathlib import Path

from delivery.home import Home


def close_home(home: Home) -> None:
    """Make the home and its logs, or close to others what is there; the folders above stay as they are."""
    for folder in (home.root, home.logs):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _close(folder)


def _close(folder: Path) -> None:
    """A folder of somebody else is not ours to change, nor is one that everybody writes to, such as `/tmp`."""
    found = folder.stat()
    if found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISVTX:
        folder.chmod(0o700)
