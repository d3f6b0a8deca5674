"""What an end means for people, for retries and for the answer."""

import signal
from pathlib import Path

import pytest

from delivery.runner import (
    Ending,
    Exit,
    command_arguments,
    describe_exit,
    killed_from_outside,
    looked,
    step_environment,
)


def end(ending: Ending, code: int | None = None, number: int | None = None, message: str = "") -> Exit:
    return Exit(ending, code, number, 1.0, 0, truncated=False, message=message)


@pytest.mark.parametrize(
    ("ended", "words", "answered", "lost"),
    [
        (end(Ending.EXITED, 0), "", True, False),
        (end(Ending.EXITED, 2), "exited with 2", True, False),
        (end(Ending.EXITED, 127), "exited with 127: command not found", False, False),
        (end(Ending.EXITED, 126), "exited with 126: command not executable", False, False),
        (end(Ending.EXITED, 137), "exited with 137: killed by SIGKILL", False, True),
        (end(Ending.EXITED, 139), "exited with 139", True, False),
        (end(Ending.KILLED, number=signal.SIGKILL), "killed by SIGKILL", False, True),
        (end(Ending.KILLED, number=signal.SIGSEGV), "killed by SIGSEGV", True, False),
        (end(Ending.KILLED, number=63), "killed by signal 63", True, False),
        (end(Ending.TIMED_OUT), "timed out after 1.5 s", False, False),
        (end(Ending.NOT_FOUND, message="command not found: 'x'"), "command not found: 'x'", False, False),
        (end(Ending.CANCELLED), "cancelled", False, False),
    ],
)
def test_every_end_has_words_and_a_meaning(ended: Exit, words: str, answered: bool, lost: bool) -> None:  # noqa: FBT001
    assert describe_exit(ended, 1.5) == words
    assert (looked(ended), killed_from_outside(ended)) == (answered, lost)


def test_a_shell_string_is_one_argument_of_bash() -> None:
    assert command_arguments('echo "$HOME"') == ("bash", "-euo", "pipefail", "-c", 'echo "$HOME"')
    assert command_arguments(["echo", "$HOME"]) == ("echo", "$HOME")


def test_a_step_environment_is_built_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPLINE_TOKEN", "t0ken")
    assert step_environment(Path("/p"), {"LANG": "de_DE.UTF-8", "X": "1"}) == {
        "PATH": "/p/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/p/home",
        "TMPDIR": "/p/tmp",
        "LANG": "de_DE.UTF-8",
        "CI": "true",
        "SOURCE_DATE_EPOCH": "315532800",
        "X": "1",
    }
