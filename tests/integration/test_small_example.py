"""The small example by hand: its steps, its builds and its services, as its `shipline.yaml` says."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import junitparser
import pytest

from delivery.config_reading import read_configuration

EXAMPLE = Path(__file__).parents[2] / "examples" / "small"
CONFIGURATION = read_configuration((EXAMPLE / "shipline.yaml").read_bytes())
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return Path(
        shutil.copytree(
            EXAMPLE, tmp_path / "small", symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "dist")
        )
    )


def arguments(command: str | list[str]) -> list[str]:
    return ["bash", "-euo", "pipefail", "-c", command] if isinstance(command, str) else command


def run(command: str | list[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(arguments(command), cwd=folder, env=ENVIRONMENT, check=False, capture_output=True)


def test_its_steps_pass_and_write_their_reports(checkout: Path) -> None:
    for step in CONFIGURATION.steps.values():
        done = run(step.command, checkout)
        assert done.returncode == 0, done.stderr.decode()
        for report in step.reports.junit:
            (suite,) = junitparser.JUnitXml.fromfile(str(checkout / report))
            assert (suite.tests, suite.failures, suite.errors) == (4, 0, 0)


def test_a_broken_service_fails_its_step_and_its_report_says_why(checkout: Path) -> None:
    greetings = checkout / "greeter" / "greetings.py"
    greetings.write_text(greetings.read_text().replace("'Hello'", "'Hullo'"))
    assert run(CONFIGURATION.steps["unit-greeter"].command, checkout).returncode == 1
    (suite,) = junitparser.JUnitXml.fromfile(str(checkout / "report-greeter.xml"))
    assert (suite.tests, suite.failures, suite.errors) == (4, 2, 0)
    assert run(CONFIGURATION.steps["unit-web"].command, checkout).returncode == 0


@pytest.mark.parametrize("name", ["web", "greeter"])
def test_its_artifacts_run_from_any_path_and_stop_when_told(name: str, checkout: Path, tmp_path: Path) -> None:
    service = CONFIGURATION.services[name]
    assert run(service.build.command, checkout).returncode == 0
    elsewhere = Path(shutil.move(checkout / service.build.output, tmp_path / "elsewhere"))
    port = free_port()
    process = subprocess.Popen(
        arguments(service.run.command),
        cwd=elsewhere,
        env={**ENVIRONMENT, **service.run.environment, "PORT": str(port)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert answer(port, service.run.health.path) == {"ok": True}
        assert answer(port, "/version") == {"service": name, "version": "1.0.0"}
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(timeout=10) in {0, -signal.SIGTERM}
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(port: int, path: str) -> object:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
                return json.load(response)
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
