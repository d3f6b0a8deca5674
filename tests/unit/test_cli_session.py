"""Where a command finds its project and its control plane."""

import json
from pathlib import Path

import pytest

from delivery.errors import ConfigurationError
from delivery.home import Home
from shipline.cli.client import Address
from shipline.cli.session import recorded_address, work_tree


def test_a_work_tree_is_found_from_any_folder_in_it(tmp_path: Path) -> None:
    (tmp_path / "shop" / ".git").mkdir(parents=True)
    (tmp_path / "shop" / "a" / "b").mkdir(parents=True)
    assert work_tree(tmp_path / "shop" / "a" / "b") == tmp_path / "shop"


def test_a_linked_work_tree_is_one(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    assert work_tree(tmp_path) == tmp_path


def test_a_folder_outside_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a git repository") as raised:
        work_tree(tmp_path)
    assert "git init" in raised.value.hint


def test_a_folder_that_does_not_exist_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        work_tree(tmp_path / "absent")


def _record(home: Home, content: str) -> None:
    home.credentials.mkdir(parents=True)
    (home.credentials / "api-token").write_text("token\n")
    home.control_state.write_text(content)


def test_the_embedded_control_plane_is_where_its_home_says(tmp_path: Path) -> None:
    home = Home(tmp_path)
    _record(home, json.dumps({"url": "http://127.0.0.1:4711"}))
    assert recorded_address(home) == Address("http://127.0.0.1:4711", "token")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"url": null}'])
def test_a_home_that_does_not_say_has_none(tmp_path: Path, content: str) -> None:
    home = Home(tmp_path)
    assert recorded_address(home) is None
    _record(home, content)
    assert recorded_address(home) is None
