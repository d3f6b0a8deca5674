import os
from pathlib import Path

import pytest

from delivery.adapters.private_home import close_home
from delivery.home import Home


def mode(folder: Path) -> str:
    return oct(folder.stat().st_mode & 0o7777)


def test_a_home_is_made_for_its_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "new" / "home")
    close_home(home)
    assert [mode(folder) for folder in (home.root, home.logs)] == ["0o700", "0o700"]


def test_a_home_that_others_could_read_is_closed_and_the_folders_above_are_not(tmp_path: Path) -> None:
    home = Home(tmp_path / "shared" / "home")
    home.logs.mkdir(parents=True)
    for folder in (home.root.parent, home.root, home.logs):
        folder.chmod(0o755)
    close_home(home)
    assert [mode(folder) for folder in (home.root.parent, home.root, home.logs)] == ["0o755", "0o700", "0o700"]


def test_a_folder_that_everybody_writes_to_stays_open(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    close_home(Home(tmp_path))
    assert [mode(tmp_path), mode(Home(tmp_path).logs)] == ["0o1777", "0o700"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_home_of_somebody_else_stays_as_it_is(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir(mode=0o755)
    home.root.chmod(0o755)
    os.chown(home.root, 65534, 65534)
    close_home(home)
    assert mode(home.root) == "0o755"
