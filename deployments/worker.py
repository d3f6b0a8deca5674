"""One process that hosts every process work pool of a Prefect server; a process per pool costs 88 MB each.

`python -m deployments.worker [BEAT]` reads its server from Prefect's own environment variables and touches
the file BEAT as long as it works. One question
("what is due, in which pools?") serves all pools at once, so that many projects cost no more than one,
and pools of projects registered later are found by it.
"""

import asyncio
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import PrefectHTTPStatusError
from prefect.workers.process import ProcessWorker

from deployments.flow_processes import end_flow_processes, flow_processes

_logger = logging.getLogger("prefect.shipline.worker")
_POLL_SECONDS = float(os.environ.get("SHIPLINE_WORKER_POLL_SECONDS", "0.25"))
_SWEEP_SECONDS = 10.0
"""How often every pool is asked, due or not: for what the one question overlooked."""
_HEARTBEAT_SECONDS = 30.0
_GRACE_SECONDS = 8.0
"""What flow runs get to stop their steps and to report, once the worker is asked to end."""
_RUNS_AT_ONCE = max(4, 2 * (os.cpu_count() or 1))
"""Per pool; a flow run's process takes about 100 MB."""


class Pools:
    """Process workers by work pool, opened when a pool first has something to do."""

    def __init__(self, client: PrefectClient, stack: AsyncExitStack) -> None:
        self._client = client
        self._stack = stack
        self._workers: dict[str, ProcessWorker] = {}
        self._beat_at: dict[str, float] = {}

    async def submit_due(self) -> None:
        """Start what is due now."""
        for pool in await self._due():
            await self._submit(pool)

    async def sweep(self) -> None:
        """Ask every pool, and tell Prefect that its worker lives."""
        pools = await self._client.read_work_pools(
            limit=200, work_pool_filter=WorkPoolFilter.model_validate({"type": {"any_": ["process"]}})
        )
        for pool in pools:
            worker = await self._submit(pool.name)
            if time.monotonic() - self._beat_at[pool.name] > _HEARTBEAT_SECONDS:
                await worker.sync_with_backend()
                self._beat_at[pool.name] = time.monotonic()

    async def _due(self) -> list[str]:
        soon = datetime.now(UTC) + timedelta(seconds=1)
        runs = await self._client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate(
                {"state": {"type": {"any_": ["SCHEDULED"]}}, "next_scheduled_start_time": {"before_": soon}}
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=50,
        )
        return list(dict.fromkeys(run.work_pool_name for run in runs if run.work_pool_name))

    async def _submit(self, pool: str) -> ProcessWorker:
        worker = self._workers.get(pool) or await self._open(pool)
        try:
            await worker.get_and_submit_flow_runs()
        except RuntimeError as error:  # woken before the process that suspended it had ended: its place frees soon
            if "already holding" not in str(error):
                raise
        return worker

    async def _open(self, pool: str) -> ProcessWorker:
        worker = ProcessWorker(
            pool,
            name=f"shipline-{os.getpid()}",
            create_pool_if_not_found=False,
            limit=_RUNS_AT_ONCE,
            heartbeat_interval_seconds=int(_HEARTBEAT_SECONDS),
        )
        await self._stack.enter_async_context(worker)
        self._workers[pool], self._beat_at[pool] = worker, time.monotonic()
        return worker


async def host(stopping: asyncio.Event, alive: Callable[[], None]) -> None:
    """Serve every pool until told to stop; the flow runs' processes are gone when this returns."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(get_client())
        pools, swept_at = Pools(client, stack), -math.inf
        while not stopping.is_set():
            try:
                await pools.submit_due()
                if time.monotonic() - swept_at >= _SWEEP_SECONDS:
                    await pools.sweep()
                    swept_at = time.monotonic()
                alive()
            except (httpx.HTTPError, PrefectHTTPStatusError) as error:
                _logger.warning("asking Prefect for flow runs: %s", error or type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _POLL_SECONDS)
        await asyncio.to_thread(end_flow_processes, flow_processes(parent=os.getpid()), _GRACE_SECONDS)


async def main(beat: Path | None) -> None:
    """Host the pools; SIGTERM and SIGINT end it in order, also when a shell had them ignored."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await host(stopping, beat.touch if beat else lambda: None)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if sys.argv[1:] else None))
