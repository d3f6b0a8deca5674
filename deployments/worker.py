"""One process that hosts every `shipline` work pool of a Prefect server; a process per pool costs 88 MB each.

`python -m deployments.worker [BEAT]` reads its server from Prefect's own environment variables and touches
the file BEAT as long as it works. Flow runs are processes forked from a warm one. One question ("what is
due, in which pools?") serves all pools at once, so that many projects cost no more than one; it is asked
when Prefect tells of an event, and now and then. `--orders FD` is the warm process of somebody else's worker.
"""

import argparse
import asyncio
import logging
import math
import os
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import socket

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.sorting import FlowRunSort

# What flow runs need, imported before anything is forked.
import flows.deliver_revision
import flows.promote_release
import flows.report_dora  # noqa: F401
from deployments.flow_processes import end_flow_processes, flow_processes
from deployments.flow_run import execute
from deployments.flow_run_events import flow_run_events
from deployments.shipline_worker import NO_ANSWER, ShiplineWorker
from deployments.warm_processes import WarmProcesses, fork_warm, take_orders

_logger = logging.getLogger("prefect.shipline.worker")
_LOOK_SECONDS = 2.0
"""Between looks without an event: for what was missed, and to touch the beat."""
_SWEEP_SECONDS = 30.0
"""How often every pool is asked, due or not, and Prefect told that its worker lives."""
_GRACE_SECONDS = 8.0
"""What flow runs get to stop their steps and to report, once the worker is asked to end."""
_RUNS_AT_ONCE = max(4, 2 * (os.cpu_count() or 1))
"""Per pool."""


class Pools:
    """Workers by work pool, opened when a pool first has something to do."""

    def __init__(self, client: PrefectClient, stack: AsyncExitStack) -> None:
        self._client = client
        self._stack = stack
        self._workers: dict[str, ShiplineWorker] = {}

    async def submit_due(self) -> None:
        """Start what is due now."""
        for pool in await self._due():
            await (await self._worker(pool)).get_and_submit_flow_runs()

    async def sweep(self) -> None:
        """Ask every pool, and tell Prefect that its worker lives."""
        kind = WorkPoolFilter.model_validate({"type": {"any_": [ShiplineWorker.type]}})
        for pool in await self._client.read_work_pools(limit=200, work_pool_filter=kind):
            worker = await self._worker(pool.name)
            await worker.sync_with_backend()
            await worker.get_and_submit_flow_runs()

    async def listen(self, due: Callable[[], None]) -> None:
        """Hear of flow runs for ever: of due ones, and of those that are to be cancelled."""
        async for event in flow_run_events():
            if not event.cancels:
                due()
                continue
            for worker in self._workers.values():
                await worker.cancel(event.flow_run)

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

    async def _worker(self, pool: str) -> ShiplineWorker:
        if pool not in self._workers:
            name = f"shipline-{os.getpid()}"
            worker = ShiplineWorker(pool, name=name, create_pool_if_not_found=False, limit=_RUNS_AT_ONCE)
            self._workers[pool] = await self._stack.enter_async_context(worker)
        return self._workers[pool]


@dataclass(slots=True)
class Host:
    """What a hosting process waits for."""

    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Be asked to end."""
        self.stopping.set()
        self.woken.set()

    async def serve(self, alive: Callable[[], None]) -> None:
        """Serve every pool until told to stop; the flow runs' processes are gone when this returns."""
        async with AsyncExitStack() as stack:
            pools = Pools(await stack.enter_async_context(get_client()), stack)
            listening = asyncio.create_task(pools.listen(self.woken.set))
            swept_at = -math.inf
            while not self.stopping.is_set():
                swept_at = await self._look(pools, swept_at, alive)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.woken.wait(), _LOOK_SECONDS)
                self.woken.clear()
            listening.cancel()
            await asyncio.to_thread(end_flow_processes, flow_processes(parent=os.getpid()), _GRACE_SECONDS)

    async def _look(self, pools: Pools, swept_at: float, alive: Callable[[], None]) -> float:
        """Look once; when every pool was last asked."""
        try:
            await pools.submit_due()
            if time.monotonic() - swept_at >= _SWEEP_SECONDS:
                await pools.sweep()
                swept_at = time.monotonic()
            alive()
        except NO_ANSWER as error:
            _logger.warning("asking Prefect for flow runs: %s", error or type(error).__name__)
        return swept_at


async def main(orders: socket, beat: Path | None) -> None:
    """Host the pools; SIGTERM and SIGINT end it in order, also when a shell had them ignored."""
    host = Host()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, host.stop)
    ShiplineWorker.warm = WarmProcesses(orders, lost=host.stop)
    ShiplineWorker.warm.listen()
    await host.serve(beat.touch if beat else lambda: None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m deployments.worker")
    parser.add_argument("beat", nargs="?", type=Path)
    parser.add_argument("--orders", type=int, metavar="FD")
    given = parser.parse_args()
    if given.orders is not None:
        take_orders(socket(fileno=given.orders), execute)
    connection, warm = fork_warm(execute)
    with connection:
        asyncio.run(main(connection, given.beat))
    os.waitpid(warm, 0)  # who stops the worker finds nothing of it left
