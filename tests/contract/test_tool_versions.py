"""Tools are found on our own PATH, and say what they are."""

from pathlib import Path

import pytest

from delivery.adapters.atomic_file import file_digest
from delivery.adapters.tool_versions import tool_version
from delivery.errors import ConfigurationError


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def install(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_real_tool_says_its_version() -> None:
    found = tool_version("git")
    assert found.path.is_absolute()
    assert found.version.startswith("git version 2")


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ('test "$1" = --version && echo tool 1.2', "tool 1.2"),
        ('test "$1" = version && printf "Banner\\ntool v3\\n"', "tool v3"),
        ('test "$1" = -v && echo 4.5 >&2', "4.5"),
    ],
)
def test_each_way_of_asking_is_tried(tools: Path, script: str, version: str) -> None:
    path = install(tools, "mine", script)
    found = tool_version("mine")
    assert (found.name, found.path, found.version) == ("mine", path, version)


def test_a_tool_that_does_not_say_is_known_by_its_content(tools: Path) -> None:
    path = install(tools, "mute", "exit 1")
    assert tool_version("mute").version == file_digest(path)


def test_a_changed_tool_is_asked_again(tools: Path) -> None:
    install(tools, "mine", "echo tool 1")
    assert tool_version("mine").version == "tool 1"
    install(tools, "mine", "echo tool 2.0")
    assert tool_version("mine").version == "tool 2.0"


@pytest.mark.parametrize("name", ["no-such-tool", "/bin/sh", "../sh"])
def test_a_missing_tool_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"looking for the tool '{name}'") as caught:
        tool_version(name)
    assert caught.value.hint
