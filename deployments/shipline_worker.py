"""The worker type `shipline`: flow runs start in warm processes, woken by events.

`prefect worker start --type shipline` works; the control plane hosts all its pools in one process
(`deployments.worker`). Importing this module registers the type: Prefect does so by the entry point
`prefect.collections`.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from socket import AF_UNIX, SOCK_SEQPACKET, socketpair
from typing import Any, ClassVar
from uuid import UUID

import anyio
import httpx
from anyio.abc import TaskStatus
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.exceptions import Abort, ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Cancelled, Pending
from prefect.utilities.engine import propose_state
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult

from deployments.flow_run_events import FlowRunEvent, flow_run_events
from deployments.warm_processes import Forked, WarmProcesses

NO_ANSWER = (httpx.HTTPError, PrefectHTTPStatusError)
"""What Prefect's client raises when its server is away or has no good answer."""

_logger = logging.getLogger("prefect.shipline.worker")
_SOON_SECONDS = 0.3
"""A flow run that is due later than this is left to a later look."""


class ShiplineConfiguration(BaseJobConfiguration):
    """Nothing to configure: a flow run is a process of this installation."""


class ShiplineVariables(BaseVariables):
    """None of its own."""


class ShiplineResult(BaseWorkerResult):
    """How a flow run's process ended."""


class ShiplineWorker(BaseWorker[ShiplineConfiguration, ShiplineVariables, ShiplineResult]):
    """Starts flow runs in processes forked from a warm one: 20 ms instead of two seconds."""

    type = "shipline"
    job_configuration = ShiplineConfiguration
    job_configuration_variables = ShiplineVariables
    _description = "Execute flow runs in warm processes of this Shipline installation."
    _display_name = "Shipline"

    warm: ClassVar[WarmProcesses | None] = None
    """Of a process that hosts several pools; a worker that finds none makes its own, and listens for itself."""

    async def setup(self) -> None:
        """Have warm processes, then be a worker."""
        self._claimed: set[tuple[UUID, UUID | None]] = set()
        self._running: dict[UUID, Forked] = {}
        self._warm = ShiplineWorker.warm or spawn_warm()
        await super().setup()
        if ShiplineWorker.warm is None and self._runs_task_group:
            self._runs_task_group.start_soon(self._listen)

    async def teardown(self, *exc_info: object) -> None:
        """Let go of warm processes of its own."""
        await super().teardown(*exc_info)
        if ShiplineWorker.warm is None:
            self._warm.close()

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ShiplineConfiguration,  # noqa: ARG002  # Prefect hands it over
        task_status: TaskStatus[Any] | None = None,
    ) -> ShiplineResult:
        """Run a flow run's process to its end."""
        forked = self._warm.start(str(flow_run.id))
        pid = await forked.pid
        if task_status:
            task_status.started(str(pid))
        return ShiplineResult(status_code=await forked.ended, identifier=str(pid))

    async def _submit_scheduled_flow_runs(self, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
        """Take up what is due, each Scheduled state once: an answer that was late names an old state.

        The one private seam of Prefect's worker between looking and executing; its own way there asks the
        server five times more.
        """
        due = [one.flow_run for one in flow_run_response if self._is_due(one.flow_run)]
        return [flow_run for flow_run in due if self._take_up(flow_run)]

    def _is_due(self, flow_run: FlowRun) -> bool:
        at = flow_run.next_scheduled_start_time
        return at is None or at.timestamp() - time.time() < _SOON_SECONDS

    def _take_up(self, flow_run: FlowRun) -> bool:
        """Whether there was a place for it, and it was not taken up before."""
        claim = (flow_run.id, flow_run.state_id)
        if claim in self._claimed or self._runs_task_group is None or not self._has_place(flow_run.id):
            return False
        self._claimed.add(claim)
        self._runs_task_group.start_soon(self._see_through, flow_run)
        return True

    def _has_place(self, flow_run: UUID) -> bool:
        """Take a place; not while its last process, which it was suspended in, still holds one."""
        if self._limiter is None:
            return flow_run not in self._running
        with suppress(anyio.WouldBlock, RuntimeError):
            self._limiter.acquire_on_behalf_of_nowait(flow_run)
            return True
        return False

    async def _see_through(self, flow_run: FlowRun) -> None:
        """One flow run from Pending to the end of its process, whose loss Prefect is told."""
        try:
            if await self._became_pending(flow_run):
                self._running[flow_run.id] = self._warm.start(str(flow_run.id))
                code = await self._running[flow_run.id].ended
                if code:
                    await self._propose_crashed_state(flow_run, f"its process ended with {code}")
        except NO_ANSWER as error:
            self._claimed.discard((flow_run.id, flow_run.state_id))  # it is still due: the next look tries again
            _logger.warning("starting flow run %s: %s", flow_run.id, error or type(error).__name__)
        finally:
            self._running.pop(flow_run.id, None)
            self._release_limit_slot(flow_run.id)

    async def _became_pending(self, flow_run: FlowRun) -> bool:
        with suppress(Abort, ObjectNotFound):  # cancelled or deleted meanwhile
            return (await propose_state(self.client, Pending(), flow_run_id=flow_run.id)).is_pending()
        return False

    async def cancel(self, flow_run: UUID) -> None:
        """End the process of a flow run that somebody cancels; its steps end with it, and Prefect is told."""
        forked = self._running.get(flow_run)
        if forked is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(await forked.pid, signal.SIGKILL)
        await forked.ended
        try:
            await self.client.set_flow_run_state(flow_run, Cancelled(message="stopped, with its steps"), force=True)
        except NO_ANSWER as error:  # whoever listens goes on listening
            _logger.warning("cancelling flow run %s: %s", flow_run, error or type(error).__name__)

    async def _listen(self) -> None:
        async for event in flow_run_events():
            await (self.cancel(event.flow_run) if event.cancels else self._look(event))

    async def _look(self, _event: FlowRunEvent) -> None:
        with suppress(*NO_ANSWER):  # the next look comes by itself
            await self.get_and_submit_flow_runs()


def spawn_warm() -> WarmProcesses:
    """Warm processes of another interpreter: what calls this runs threads already, and cannot fork by itself."""
    ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET)
    isolated = ("-I",) if sys.flags.isolated else ()
    command = (sys.executable, *isolated, "-m", "deployments.worker", "--orders", str(theirs.fileno()))
    subprocess.Popen(command, pass_fds=[theirs.fileno()])
    theirs.close()
    warm = WarmProcesses(ours, lost=asyncio.get_running_loop().stop)
    warm.listen()
    return warm
