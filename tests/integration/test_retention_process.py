"""Retention's process, as the control plane starts and ends it."""

import asyncio
import logging
from pathlib import Path

import psutil
import pytest

from delivery.adapters.processes import wait_until
from delivery.home import Home
from shipline.control.retention_process import run_retention

pytestmark = pytest.mark.integration


def test_what_keeps_it_from_working_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert not asyncio.run(run_retention(Home(tmp_path / "nothing")))

    assert [record.levelname for record in caplog.records] == ["WARNING"] * len(caplog.records) != []
    assert caplog.messages[-1].startswith("retention: ")


def test_it_ends_with_the_control_plane(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")

    async def cancelled() -> None:
        running = asyncio.create_task(run_retention(home))
        assert await asyncio.to_thread(wait_until, lambda: bool(_processes(home)), 30.0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(cancelled())

    assert _processes(home) == []


def _processes(home: Home) -> list[int]:
    found = psutil.process_iter(["cmdline"])
    return [one.pid for one in found if str(home.root) in (one.info["cmdline"] or ())]
