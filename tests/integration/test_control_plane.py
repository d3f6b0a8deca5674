"""The control plane of a real home: PostgreSQL, Prefect's server, the worker and the process above them."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from delivery.adapters import processes
from delivery.adapters.local import stop_environments
from delivery.adapters.local.data_plane import DataPlane
from delivery.adapters.postgresql.urls import read_urls
from delivery.adapters.processes import ProcessIdentity
from delivery.errors import PermanentError
from delivery.home import Home
from deployments.warm_processes import WARM_NAME
from shipline.control import lifecycle
from shipline.control.lifecycle import ControlPlaneState
from shipline.control.lock import only_one
from shipline.control.state import ControlState, read_state, write_state
from tests.servers.local_lab import CLIENT, LocalLab, roll_out

pytestmark = [pytest.mark.integration, pytest.mark.slow]
_MAXIMUM_BYTES = 450_000_000
_RESTART_SECONDS = 60.0  # of patience on a busy machine; it takes two to five


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="sl-") as folder:
        home = Home(Path(folder) / "home")
        home.logs.mkdir(parents=True)  # as an earlier version or a careful person would: for everybody to read
        yield home
        lifecycle.down(home, environments=True)


@pytest.fixture
def running(home: Home) -> ControlPlaneState:
    return lifecycle.up(home)


def pids(home: Home) -> dict[str, int]:
    return {name: identity.pid for name, identity in read_state(home).components.items()}


def health(home: Home) -> dict[str, object]:
    answer = httpx.get(f"{read_state(home).url}/api/v1/health", trust_env=False, timeout=10)
    document: dict[str, object] = answer.json()
    return document


def taken(url: str) -> socket.socket:
    """Somebody who has the port now, as soon as it can be had."""
    address = ("127.0.0.1", int(urlsplit(url).port or 0))
    while True:
        with suppress(OSError):
            return socket.create_server(address)


def all_moved(home: Home, prefect_url: str) -> bool:
    """Whether Prefect is elsewhere, and the worker asks there."""
    elsewhere, worker = read_state(home).prefect_url, read_state(home).components.get("worker")
    asked = processes.environment(worker).get("PREFECT_API_URL") if worker else None
    return elsewhere != prefect_url and asked == f"{elsewhere}/api" and health(home)["ready"] is True


def prefect_asks_the_database(home: Home) -> bool:
    """Where that is now."""
    prefect = read_state(home).components.get("prefect")
    port = urlsplit(read_urls(home).prefect).port
    with suppress(psutil.Error):
        asked = psutil.Process(prefect.pid).net_connections("tcp") if prefect else []
        return any(one.raddr and one.raddr.port == port for one in asked) and health(home)["ready"] is True
    return False


def forgotten(home: Home, name: str) -> ProcessIdentity:
    """A component whose control plane was killed before it could write it down."""
    state = read_state(home)
    if state.process and processes.alive(state.process):
        os.kill(state.process.pid, signal.SIGKILL)
        assert processes.wait_until(lambda: not state.running, 10)
    others = {other: one for other, one in state.components.items() if other != name}
    write_state(home, replace(state, components=others))
    return state.components[name]


def warm_processes(home: Home) -> list[int]:
    """Whatever flow runs are forked from in this home."""
    return [process.pid for process in processes_of(home) if process.name() == WARM_NAME]


def is_served(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return CLIENT.get(url).status_code == httpx.codes.OK
    return False


def health_of(home: Home, name: str) -> dict[str, object]:
    components = health(home)["components"]
    assert isinstance(components, list)
    return next(one for one in components if one["name"] == name)


def projects(home: Home) -> httpx.Response:
    token = (home.credentials / "api-token").read_text().strip()
    url, with_token = f"{read_state(home).url}/api/v1/projects", {"Authorization": f"Bearer {token}"}
    return httpx.get(url, headers=with_token, trust_env=False, timeout=60)


def processes_of(home: Home) -> list[psutil.Process]:
    """Living processes that were started for this home."""
    found = []
    for process in psutil.process_iter():
        try:
            named = str(home.root) in " ".join([*process.cmdline(), process.environ().get("SHIPLINE_HOME", "")])
            if named and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_up_returns_when_everything_is_ready(home: Home, running: ControlPlaneState) -> None:
    names = [(one["name"], one["state"]) for one in running.components]
    assert names == [(name, "ready") for name in ("control", "postgresql", "prefect", "worker")]
    assert all(one["pid"] and one["version"] for one in running.components)
    assert health(home)["ready"] is True


def test_a_home_that_others_could_read_is_closed(home: Home, running: ControlPlaneState) -> None:
    assert running.url
    assert [oct(folder.stat().st_mode & 0o777) for folder in (home.root, home.logs)] == ["0o700", "0o700"]


def test_a_second_up_changes_nothing(home: Home, running: ControlPlaneState) -> None:
    before = pids(home)
    again = lifecycle.up(home)
    assert not again.started
    assert (again.url, pids(home)) == (running.url, before)


def test_everything_listens_on_loopback_only(home: Home, running: ControlPlaneState) -> None:
    assert running.url
    listening = [
        connection.laddr.ip
        for process in processes_of(home)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}


def test_memory_stays_within_the_budget(home: Home, running: ControlPlaneState) -> None:
    assert running.url
    lifecycle.up(home)
    components = health(home)["components"]
    assert isinstance(components, list)
    sizes = {one["name"]: one["memory_bytes"] for one in components}
    assert all(sizes.values())
    assert sum(sizes.values()) <= _MAXIMUM_BYTES


def test_the_api_wants_its_token_and_prefect_its_own(home: Home, running: ControlPlaneState) -> None:
    assert httpx.get(f"{running.url}/api/v1/projects", trust_env=False).status_code == 401
    assert projects(home).json() == []
    assert httpx.get(f"{running.prefect_url}/api/flow_runs/count", trust_env=False).status_code == 401


def test_people_sign_in_at_the_gateway_and_nobody_elses_word_counts_there(
    home: Home, running: ControlPlaneState
) -> None:
    token = (home.credentials / "api-token").read_text().strip()
    asked = [{"Authorization": f"Bearer {token}"}, {"Authorization": "Bearer x"}, {"X-Forwarded-User": "root"}, {}]
    answers = [httpx.get(f"{running.gateway_url}/api/version", headers=one, trust_env=False) for one in asked]
    assert [one.status_code for one in answers] == [200, 401, 401, 401]
    assert health(home)["gateway"] == running.gateway_url


def test_a_stranger_reads_no_pages_sends_no_megabytes_and_gets_nowhere_by_another_name(
    home: Home, running: ControlPlaneState
) -> None:
    control = read_state(home).process
    assert control
    before = psutil.Process(control.pid).memory_info().rss
    flood = httpx.post(
        f"{running.url}/api/v1/projects", content=(b"x" * 1_000_000 for _ in range(100)), trust_env=False, timeout=60
    )
    assert flood.status_code == httpx.codes.UNAUTHORIZED
    assert psutil.Process(control.pid).memory_info().rss - before < 30_000_000
    assert httpx.get(f"{running.url}/redoc", trust_env=False).status_code == httpx.codes.UNAUTHORIZED
    assert httpx.get(f"{running.url}/api/v1/openapi.json", trust_env=False).status_code == httpx.codes.OK
    rebound = httpx.get(f"{running.url}/api/v1/health", headers={"Host": "evil.example"}, trust_env=False)
    assert rebound.status_code == httpx.codes.MISDIRECTED_REQUEST


@pytest.mark.parametrize("name", ["postgresql", "prefect", "worker"])
def test_a_killed_component_is_restarted(home: Home, running: ControlPlaneState, name: str) -> None:
    assert running.url
    killed = pids(home)[name]
    os.kill(killed, signal.SIGKILL)
    restarted = processes.wait_until(
        lambda: pids(home).get(name, killed) != killed and health(home)["ready"] is True, _RESTART_SECONDS
    )
    assert restarted


def test_deployed_services_are_served_again_with_nobody_asking(home: Home, running: ControlPlaneState) -> None:
    assert running.url
    lab = LocalLab(home)
    seen = roll_out(lab.deployer(), lab.candidate("one"), 1)
    supervisor = DataPlane(home).supervisor()
    assert supervisor
    os.kill(supervisor.pid, signal.SIGKILL)
    os.kill(seen.instances[0].process_id or 0, signal.SIGKILL)
    assert processes.wait_until(lambda: is_served(seen.addresses["web"]), _RESTART_SECONDS)
    stop_environments(home)
    shutil.rmtree(home.data_plane)  # or every later start would start them again


def test_after_a_kill_the_next_up_adopts_what_runs(home: Home, running: ControlPlaneState) -> None:
    """But for the worker, which ends with whoever it takes orders from."""
    before = pids(home)
    control = read_state(home).process
    assert control
    os.kill(control.pid, signal.SIGKILL)
    assert processes.wait_until(lambda: not processes.alive(control), 10)
    again = lifecycle.up(home)
    assert again.started
    addresses = (running.url, running.prefect_url, running.gateway_url)
    assert (again.url, again.prefect_url, again.gateway_url) == addresses
    assert {**pids(home), "worker": before["worker"]} == before
    assert warm_processes(home) == [pids(home)["worker"]]


def test_a_killed_prefect_whose_port_is_taken_moves_and_the_worker_follows(
    home: Home, running: ControlPlaneState
) -> None:
    os.kill(pids(home)["prefect"], signal.SIGKILL)
    with taken(running.prefect_url):
        assert processes.wait_until(lambda: all_moved(home, running.prefect_url), _RESTART_SECONDS), health(home)


def test_a_prefect_that_died_with_the_control_plane_moves_when_its_port_is_taken(
    home: Home, running: ControlPlaneState
) -> None:
    control, before = read_state(home).process, pids(home)
    assert control
    for pid in (control.pid, before["prefect"]):
        os.kill(pid, signal.SIGKILL)
    assert processes.wait_until(lambda: not processes.alive(control), 10)
    with taken(running.prefect_url):
        lifecycle.up(home)
        assert processes.wait_until(lambda: all_moved(home, running.prefect_url), _RESTART_SECONDS), health(home)


def test_a_killed_database_whose_port_is_taken_moves_and_the_api_follows(
    home: Home, running: ControlPlaneState
) -> None:
    before = health_of(home, "postgresql")["url"]
    os.kill(pids(home)["postgresql"], signal.SIGKILL)
    with taken(str(before)):
        assert processes.wait_until(lambda: health_of(home, "postgresql")["url"] != before, _RESTART_SECONDS)
        assert processes.wait_until(lambda: projects(home).status_code == httpx.codes.OK, _RESTART_SECONDS)
        assert processes.wait_until(lambda: prefect_asks_the_database(home), _RESTART_SECONDS), health(home)
    assert running.url == read_state(home).url


def test_down_stops_also_what_a_killed_control_plane_left(home: Home, running: ControlPlaneState) -> None:
    assert running.url
    control = read_state(home).process
    assert control
    os.kill(control.pid, signal.SIGKILL)
    assert processes.wait_until(lambda: not processes.alive(control), 10)
    assert lifecycle.down(home)
    assert processes_of(home) == []
    assert not lifecycle.down(home)


def test_a_worker_that_no_record_knows_is_stopped_before_another_starts(home: Home, running: ControlPlaneState) -> None:
    assert running.url
    stray = forgotten(home, "worker")
    lifecycle.up(home)
    assert not processes.alive(stray)
    assert warm_processes(home) == [pids(home)["worker"]]


def test_down_stops_also_what_no_record_knows(home: Home, running: ControlPlaneState) -> None:
    assert running.url
    for name in ("worker", "prefect", "postgresql"):
        forgotten(home, name)
    assert lifecycle.down(home)
    assert processes_of(home) == []


def test_stale_records_and_lock_files_block_nothing_and_addresses_stay(home: Home, running: ControlPlaneState) -> None:
    """The record names processes that live, but are not the ones that were recorded."""
    lifecycle.down(home)
    assert processes_of(home) == []
    somebody = {"pid": os.getppid(), "started_at": 1.0}
    record = {
        "process": somebody,
        "url": running.url,
        "prefect_url": None,
        "ports": {"api": int(running.url.rpartition(":")[2])},
        "components": {"worker": somebody},
    }
    home.control_state.write_text(json.dumps(record))
    (home.root / "control.lock").write_text("4242")
    assert lifecycle.up(home).url == running.url


def test_a_record_that_names_a_living_stranger_keeps_nobody_from_starting(
    home: Home, running: ControlPlaneState
) -> None:
    """As after a reboot that gave the same number at the same second to somebody else."""
    lifecycle.down(home)
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            write_state(home, ControlState(processes.identify(stranger.pid), running.url, running.prefect_url))
            assert lifecycle.up(home).started
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_whoever_only_has_the_lock_for_a_moment_keeps_nobody_from_starting(home: Home) -> None:
    """As a killed control plane whose threads are not all gone yet."""
    lifecycle.down(home)
    with ThreadPoolExecutor() as pool:
        with only_one(home):
            starting = pool.submit(lifecycle.up, home)
            time.sleep(1)
            assert not starting.done()
        assert starting.result().started


def test_in_the_foreground_a_sigterm_stops_everything_in_order(home: Home) -> None:
    lifecycle.down(home)
    environment = {**os.environ, "SHIPLINE_HOME": str(home.root)}
    command = [sys.executable, "-m", "shipline.control"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as control:
        assert processes.wait_until(lambda: read_state(home).running, 60)
        assert not lifecycle.up(home).started
        second = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (second.returncode, "it runs already" in second.stderr) == (2, True)
        control.send_signal(signal.SIGTERM)
        assert control.wait(60) == 0
    assert processes_of(home) == []
    assert "shut down" in processes.last_lines(home.control_logs / "postgresql.log")


def test_a_control_plane_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "postgresql").write_text("in the way")
    home = Home(tmp_path)
    try:
        with pytest.raises(PermanentError, match=r"starting the control plane of .*postgresql"):
            lifecycle.up(home)
    finally:
        lifecycle.down(home)
