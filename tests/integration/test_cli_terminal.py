"""The command line at a terminal, and with the control plane of its own home."""

import json
import os
import pty
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from delivery.home import Home
from tests.repositories import Made, make_repository
from tests.servers import control_documents as documents
from tests.servers.control_api import TOKEN, ControlApi, control_api
from tests.servers.control_documents import RUN

ROOT = Path(__file__).parents[2]
_OWN_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""A hidden prompt asks the controlling terminal, so the pseudo terminal has to be it."""
SHIPLINE = [sys.executable, "-m", "shipline.cli.main"]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ControlApi]:
    with control_api() as running:
        known = {**documents.PROJECT, "location": str(tmp_path / "shop")}
        running.answers = {
            "GET /projects": [[known]],
            "POST /projects": [documents.PROJECT],
            "GET /health": [documents.HEALTH],
        }
        yield running


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_repository(tmp_path, [Made({"shipline.yaml": "version: 1\n"})], name="shop").folder


def _environment(tmp_path: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHIPLINE_")}
    return {**kept, "SHIPLINE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), "TERM": "xterm", **more}


def _at_a_terminal(words: Sequence[str], typed: bytes, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """(exit code, everything shown), with a pseudo terminal as standard input, output and error."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", _OWN_TERMINAL, *SHIPLINE, *words],
        cwd=folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown, deadline = b"", time.monotonic() + 30
        while time.monotonic() < deadline:
            if typed and b"Value of" in shown and not termios.tcgetattr(ours)[3] & termios.ECHO:
                os.write(ours, typed)
                typed = b""
            if not select.select([ours], [], [], 0.05)[0]:
                continue
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # the other side is closed
                break
            shown += piece
        os.close(ours)
        return process.wait(30), shown.decode(errors="replace")


def _record(home: Home, url: str) -> None:
    home.credentials.mkdir(parents=True, exist_ok=True)
    (home.credentials / "api-token").write_text(TOKEN)
    home.control_state.write_text(json.dumps({"url": url}))


def _following(api: ControlApi) -> None:
    unit = documents.step("unit", "Running", expected_seconds=9.0)
    api.answers["POST /projects/shop/runs"] = [{"id": RUN}]
    api.answers[f"GET /runs/{RUN}"] = [
        documents.run("Running", unit, documents.step("build", "Pending"), finished=False),
        documents.run("Completed", documents.step("unit", "Completed"), documents.step("build", "Completed")),
    ]
    api.logs[f"{RUN}/unit"] = b"[red]a line\n"


def test_at_a_terminal_the_steps_that_run_stand_below_the_lines(api: ControlApi, tree: Path, tmp_path: Path) -> None:
    _following(api)
    environment = _environment(tmp_path, SHIPLINE_URL=api.url, SHIPLINE_TOKEN=TOKEN)
    code, shown = _at_a_terminal(["run"], b"", tree, environment)
    assert code == 0
    assert "unit | [red]a line" in shown
    assert " s of about 9.0 s" in shown
    assert "1 more to come" in shown
    assert "unit: Completed after 1.2 s" in shown


def test_no_color_is_respected_at_a_terminal(api: ControlApi, tree: Path, tmp_path: Path) -> None:
    api.answers["GET /projects/shop/status"] = [documents.STATUS]
    environment = _environment(tmp_path, SHIPLINE_URL=api.url, SHIPLINE_TOKEN=TOKEN)
    assert "\x1b[32m" in _at_a_terminal(["status"], b"", tree, environment)[1]
    assert "\x1b[32m" not in _at_a_terminal(["status"], b"", tree, {**environment, "NO_COLOR": "1"})[1]


def test_a_secret_that_is_typed_is_not_echoed(api: ControlApi, tree: Path, tmp_path: Path) -> None:
    api.answers["PUT /projects/shop/secrets/TOKEN"] = [{}]
    api.answers["GET /projects/shop/secrets"] = [documents.SECRETS]
    environment = _environment(tmp_path, SHIPLINE_URL=api.url, SHIPLINE_TOKEN=TOKEN)
    code, shown = _at_a_terminal(["secret", "set", "TOKEN"], b"s3cret words\n", tree, environment)
    assert (code, "s3cret" in shown) == (0, False)
    assert api.body("PUT /projects/shop/secrets/TOKEN") == {"value": "s3cret words", "environment": None}


def test_a_control_plane_that_runs_for_this_home_is_used_silently(api: ControlApi, tree: Path, tmp_path: Path) -> None:
    api.answers["GET /projects/shop/history"] = [documents.HISTORY]
    _record(Home(tmp_path / "home"), api.url)
    ran = subprocess.run(
        [*SHIPLINE, "history", "--json"],
        cwd=tree,
        env=_environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (json.loads(ran.stdout), ran.stderr) == (documents.HISTORY, "")


def test_following_goes_on_when_the_control_plane_comes_back_on_another_port(tree: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with control_api() as first:
        first.answers = {
            "POST /projects": [documents.PROJECT],
            "GET /health": [documents.HEALTH],
            "POST /projects/shop/runs": [{"id": RUN}],
            f"GET /runs/{RUN}": [documents.run("Running", finished=False)],
        }
        _record(home, first.url)
        process = subprocess.Popen(
            [*SHIPLINE, "run", "--json"],
            cwd=tree,
            env=_environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        _until(lambda: any(what == f"GET /runs/{RUN}" for what, _, _ in first.asked))
    with control_api() as second, process:
        second.answers = {f"GET /runs/{RUN}": [documents.run("Completed")]}
        _record(home, second.url)
        killer = threading.Timer(30, process.kill)
        killer.start()
        out, err = process.communicate()
        killer.cancel()
    assert (process.returncode, json.loads(out)["state"]) == (0, "Completed")
    assert "looking for it again" in err


def test_following_goes_on_while_the_control_plane_says_that_it_starts(tree: Path, tmp_path: Path) -> None:
    looked = f"GET /runs/{RUN}"
    with control_api() as api:
        api.answers = {
            "POST /projects": [documents.PROJECT],
            "GET /health": [documents.HEALTH],
            "POST /projects/shop/runs": [{"id": RUN}],
            looked: [documents.run("Running", finished=False)],
        }
        _record(Home(tmp_path / "home"), api.url)
        with subprocess.Popen(
            [*SHIPLINE, "run", "--json"],
            cwd=tree,
            env=_environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            killer = threading.Timer(30, process.kill)
            killer.start()
            _until(lambda: any(what == looked for what, _, _ in api.asked))
            api.errors[looked] = (503, documents.STARTING)
            before = len(api.asked)
            _until(lambda: len(api.asked) > before + 1)
            api.answers[looked] = [documents.run("Completed")]
            del api.errors[looked]
            out, err = process.communicate()
            killer.cancel()
    assert (process.returncode, json.loads(out)["state"]) == (0, "Completed")
    assert "the control plane is starting; looking for it again" in err


def _until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not seen() and time.monotonic() < deadline:
        time.sleep(0.02)
