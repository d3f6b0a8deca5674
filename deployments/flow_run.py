"""One flow run in a process of its own, from where Prefect has it to where it ends or suspends."""

import asyncio
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.context import AsyncClientContext, SyncClientContext
from prefect.exceptions import Abort, Pause
from prefect.flow_engine import run_flow_async
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, get_current_settings, temporary_settings


def execute(flow_run: str) -> int:
    """Execute a flow run by its id. 0 when Prefect knows how it ended; another code means that nobody told it.

    Prefect's heartbeats are off: a thread for each run would tell what our leases tell already.
    """
    with temporary_settings(updates={PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        return asyncio.run(_execute(UUID(flow_run)))


async def _execute(identity: UUID) -> int:
    """One client for everything: the engine would make three, each with a TLS context of its own."""
    async with AsyncClientContext.get_or_create() as shared:
        with SyncClientContext.get_or_create():
            flow_run = await shared.client.read_flow_run(identity)
            flow = await _flow_of(shared.client, flow_run)
            try:
                await run_flow_async(
                    flow, flow_run=_unobserved(flow_run), parameters=flow_run.parameters, return_type="state"
                )
            except (Abort, Pause):  # Prefect refused to let it go on, or it is suspended: it says so itself
                return 0
    return 0


async def _flow_of(client: PrefectClient, flow_run: FlowRun) -> Flow[..., object]:
    """The function that a Prefect deployment names; results, if any are kept, stay on this machine."""
    if flow_run.deployment_id is None:
        raise ValueError(f"flow run {flow_run.id} belongs to no Prefect deployment")
    deployment = await client.read_deployment(flow_run.deployment_id)
    flow: Flow[..., object] = load_flow_from_entrypoint(str(deployment.entrypoint), use_placeholder_flow=False)
    flow.result_storage = flow.result_storage or Path(get_current_settings().results.local_storage_path)
    return flow


def _unobserved(flow_run: FlowRun) -> FlowRun:
    """Without its deployment the engine opens no websocket to hear of suspensions from outside: gates are inside.

    It reads the flow run again afterwards, so that `prefect.runtime` knows the deployment all the same.
    """
    return flow_run.model_copy(update={"deployment_id": None})
