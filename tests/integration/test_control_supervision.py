"""The control plane's supervisor over small real processes."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from delivery.adapters import processes
from delivery.adapters.processes import Launch, ProcessIdentity
from shipline.control import supervision
from shipline.control.component import Component
from shipline.control.supervision import Supervisor

pytestmark = pytest.mark.integration
_LONG = 10_000_001


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    return Launch(("/bin/sleep", "60"), tmp_path, tmp_path / "sleeper.log")


@pytest.fixture
def sleeper(launch: Launch) -> Iterator[ProcessIdentity]:
    identity = processes.spawn(launch)
    yield identity
    processes.kill(identity)


def supervise(supervisor: Supervisor, until: Callable[[], bool]) -> bool:
    """Run it until something holds; False when it does not within seconds."""

    async def supervising() -> bool:
        running = asyncio.create_task(supervisor.run())
        try:
            return await asyncio.to_thread(processes.wait_until, until, 10)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    return asyncio.run(supervising())


def test_logs_are_rotated_while_it_runs_its_own_too_and_those_of_adopted_processes(
    tmp_path: Path, launch: Launch, sleeper: ProcessIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_ROTATE_SECONDS", 0.05)
    own = tmp_path / "control.log"
    own.touch()
    component = Component("sleeper", "1", launch=lambda: launch, ready=lambda: True, log=launch.log)
    supervisor = Supervisor([component], {"sleeper": sleeper}, lambda _: None, own)

    def grown_and_rotated() -> bool:
        if supervisor.ready and not rotated(own):
            for log in (own, launch.log):
                os.truncate(log, _LONG)
        return rotated(own) and rotated(launch.log)

    assert supervise(supervisor, grown_and_rotated)
    assert processes.alive(sleeper)


def rotated(log: Path) -> bool:
    return log.with_name(f"{log.name}.1").exists()
