"""The worker type `shipline` for Prefect's own command line: `prefect worker start --type shipline --pool POOL`.

Prefect's worker looks for due flow runs of its pool and says that it lives; a host does the rest, as in
the control plane, which hosts every pool without it. Importing this module registers the type: Prefect
does so by the entry point `prefect.collections`.
"""

import asyncio
from typing import Any

from anyio.abc import TaskStatus
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.settings import get_current_settings
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult

from delivery.adapters.embedded import connected_here
from deployments.hosting import Host
from deployments.placements import WORK_POOL_TYPE
from deployments.prefect_rest import PrefectRest
from deployments.prefect_work import DueFlowRun, PrefectWork
from deployments.warm_processes import spawn_warm

_PAUSE_SECONDS = 1.0


class ShiplineConfiguration(BaseJobConfiguration):
    """Nothing to configure: a flow run is a process of this installation."""


class ShiplineVariables(BaseVariables):
    """None of its own."""


class ShiplineResult(BaseWorkerResult):
    """How a flow run's process ended."""


class ShiplineWorker(BaseWorker[ShiplineConfiguration, ShiplineVariables, ShiplineResult]):
    """Starts flow runs in processes forked from a warm one: 20 ms instead of two seconds."""

    type = WORK_POOL_TYPE
    job_configuration = ShiplineConfiguration
    job_configuration_variables = ShiplineVariables
    _description = "Execute flow runs in warm processes of this Shipline installation."
    _display_name = "Shipline"

    async def setup(self) -> None:
        """Be a worker with a host of its own."""
        await super().setup()
        api = get_current_settings().api
        auth = api.auth_string.get_secret_value() if api.auth_string else ""
        self._rest = PrefectRest(str(api.url), auth)
        ports = connected_here()
        work = PrefectWork(self._rest, self._work_pool_name)
        self._host = Host(work, ports.operations, look_seconds=ports.pace.janitor_seconds)
        self._tasks = [asyncio.create_task(self._host.serve()), asyncio.create_task(self._keep_warm())]

    async def teardown(self, *exc_info: Any) -> None:  # noqa: ANN401  # as Prefect has it
        """Let the flow runs end that it started, then let go."""
        await self._host.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        self._warm.close()
        self._rest.close()
        await super().teardown(*exc_info)

    async def _keep_warm(self) -> None:
        """Have a warm process, and another one when it dies."""
        while True:
            self._warm = spawn_warm()
            self._host.use(self._warm)
            await self._warm.gone.wait()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ShiplineConfiguration,
        task_status: TaskStatus[Any] | None = None,
    ) -> ShiplineResult:
        """Never called: what is due goes to the host."""
        raise NotImplementedError

    async def _submit_scheduled_flow_runs(self, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
        """Hand over what is due: the one private seam of Prefect's worker between looking and executing.

        Its own way there asks the server five times more.
        """
        due = [one.flow_run for one in flow_run_response]
        for flow_run in due:
            document = flow_run.model_dump(mode="json")
            self._host.take_up(DueFlowRun(str(flow_run.id), str(flow_run.state_id), self._work_pool_name, document))
        return due
