import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from delivery.home import Home
from shipline.control.doctor import doctor


def test_this_machine_has_what_is_required(tmp_path: Path) -> None:
    assert [one for one in doctor(Home(tmp_path / "home")) if one.required and not one.ok] == []


def test_what_is_missing_is_named_with_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = [one for one in doctor(Home(tmp_path)) if one.name != "isolation"]  # that depends on who runs this test
    missing = {one.name: (one.hint, one.required) for one in found if not one.ok}
    assert missing == {
        "git": ("apt-get install git", True),
        "chromium": ("apt-get install chromium", False),
        "skopeo": ("apt-get install skopeo", False),
    }


def test_an_old_git_is_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "git"
    old.write_text("#!/bin/sh\necho git version 2.20.1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    git = next(one for one in doctor(Home(tmp_path)) if one.name == "git")
    assert (git.found, git.hint) == ("git version 2.20.1", "install git 2.30 or later")


def test_a_full_disk_is_told_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024  # the shape of shutil's answer
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 0))
    disk = next(one for one in doctor(Home(tmp_path)) if one.name == "disk")
    assert disk.found == "0.0 GB free"
    assert "SHIPLINE_HOME" in disk.hint


def test_a_home_below_a_file_cannot_be_used() -> None:
    home = next(one for one in doctor(Home(Path("/dev/null/home"))) if one.name == "home")
    assert (home.found, home.hint) == (
        "/dev/null/home: /dev/null is no folder",
        "set SHIPLINE_HOME to a folder that you may write",
    )
