"""One flow run in a process of its own: claimed, begun, and seen to where it ends or suspends."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import anyio
import certifi
import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas import actions, filters, objects, responses
from prefect.client.schemas.objects import FlowRun
from prefect.context import SyncClientContext
from prefect.events.schemas import events
from prefect.exceptions import Abort, Pause, PrefectHTTPStatusError
from prefect.flow_engine import AsyncFlowRunEngine
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.settings import (
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    get_current_settings,
    temporary_settings,
)
from prefect.states import Cancelled, Crashed
from pydantic import BaseModel

from delivery.adapters.embedded import connected_here
from delivery.adapters.processes import identity_of
from delivery.errors import DeliveryError
from delivery.ports import Claim
from deployments.lean_client import LeanClient, LeanContext
from deployments.prefect_work import DueFlowRun

NO_ANSWER = (httpx.HTTPError, PrefectHTTPStatusError)
"""What Prefect's client raises when its server is away or has no good answer."""


@contextmanager
def prepared() -> Iterator[None]:
    """What every flow run would do first, done once in the process that they are forked from.

    Prefect's heartbeats are off, since a thread for each run would tell what our leases tell already, and so is
    its look at the server's version. The database is asked for what its driver wants to know of any server.
    """
    settings: dict[Any, Any] = {
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False,
    }
    with _short_certificates() as certificates:
        if not str(get_current_settings().api.url).startswith("https:"):
            settings[PREFECT_API_SSL_CERT_FILE] = certificates
        with temporary_settings(updates=settings):
            anyio.run(anyio.sleep, 0)
            for module in (actions, events, filters, objects, responses):
                _complete(module)
            with suppress(DeliveryError):  # each flow run says so itself
                connected_here().operations.claims()
            connected_here().close()
            yield


@contextmanager
def _short_certificates() -> Iterator[str]:
    """A file with one certificate, for clients that never need any.

    Each flow run makes five clients, in threads too, and each client reads 130 certificates: a fifth of its time.
    """
    mark = "-----END CERTIFICATE-----\n"
    with os.fdopen(os.memfd_create("one-certificate"), "w") as file:
        file.write(certifi.contents().partition(mark)[0] + mark)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def _complete(module: ModuleType) -> None:
    """Build what pydantic validates with, which Prefect leaves to a model's first use."""
    for model in vars(module).values():
        if isinstance(model, type) and issubclass(model, BaseModel) and model is not BaseModel:
            model.model_rebuild()


def execute(order: str) -> None:
    """Execute a due flow run, unless another process has claimed it.

    When it raises, Prefect does not know how it ended: the claim stays, and whoever finds it without its
    process tells.
    """
    due = DueFlowRun(**json.loads(order))
    operations = connected_here().operations
    claim = _claim(due)
    if operations.claim(claim):
        asyncio.run(_execute(due))
        operations.drop_claim(claim)


def _claim(due: DueFlowRun) -> Claim:
    return Claim(due.flow_run, due.state, asdict(identity_of(os.getpid())))


async def _execute(due: DueFlowRun) -> None:
    """One client for everything in this thread: the engine would make three."""
    client = LeanClient()
    async with LeanContext(client):
        with SyncClientContext():
            try:
                flow_run = await _flow_run_of(client, due)
                if str(flow_run.state_id) == due.state and (flow := await _flow_of(client, flow_run, due)):
                    client.know(flow_run)
                    await _run(flow, flow_run, due, client)
            except NO_ANSWER:  # nothing has begun: the next look tries again
                return


async def _flow_run_of(client: PrefectClient, due: DueFlowRun) -> FlowRun:
    """As it was when it became due; whether that still holds is looked at once it runs."""
    return FlowRun.model_validate(due.document) if due.document else await client.read_flow_run(UUID(due.flow_run))


async def _run(flow: Flow[..., object], flow_run: FlowRun, due: DueFlowRun, client: PrefectClient) -> None:
    """As Prefect's `run_flow_async` does, with a look between Running and the flow's first line."""
    engine = AsyncFlowRunEngine[Any, Any](flow=flow, flow_run=_unobserved(flow_run), parameters=flow_run.parameters)
    try:
        async with engine.start():
            if engine.is_running() and not await _began_here(client, due, str(engine.state.id)):
                engine.short_circuit = True  # leave the state as it is set there
                return
            while engine.is_running():
                async with engine.run_context():
                    await engine.call_flow_fn()  # type: ignore[unused-coroutine]  # its annotation promises two
    except (Abort, Pause):  # Prefect refused to let it go on, or it is suspended: it says so itself
        return


async def _began_here(client: PrefectClient, due: DueFlowRun, running: str) -> bool:
    """Whether the state that was claimed is the one that became Running, and nothing has followed.

    Prefect's server lets a flow run become Running that was cancelled, or is done: its states protect nothing.
    What it was is set again then; what has followed stays, but for a cancellation, which is carried out.
    """
    states = await client.read_flow_run_states(UUID(due.flow_run))
    place = next((place for place, one in enumerate(states) if str(one.id) == running), len(states) - 1)
    before, newest = states[max(place - 1, 0)], states[-1]
    if newest.is_cancelling():
        await client.set_flow_run_state(UUID(due.flow_run), Cancelled(message="before its first line"), force=True)
    elif place == len(states) - 1 and str(before.id) != due.state:
        await client.set_flow_run_state(UUID(due.flow_run), before, force=True)
    return place == len(states) - 1 and str(before.id) == due.state


async def _flow_of(client: PrefectClient, flow_run: FlowRun, due: DueFlowRun) -> Flow[..., object] | None:
    """The function that a Prefect deployment names; None, and a crashed flow run, when it cannot be loaded.

    Results, if any are kept, stay on this machine.
    """
    if flow_run.deployment_id is None:
        raise ValueError(f"flow run {flow_run.id} belongs to no Prefect deployment")
    entrypoint = due.entrypoint or str((await client.read_deployment(flow_run.deployment_id)).entrypoint)
    try:
        flow: Flow[..., object] = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except Exception as error:  # noqa: BLE001  # whatever a module raises while it is imported: it would again
        message = f"loading {entrypoint}: {type(error).__name__}: {error}"
        await client.set_flow_run_state(flow_run.id, Crashed(message=message))
        return None
    flow.result_storage = flow.result_storage or Path(get_current_settings().results.local_storage_path)
    return flow


def _unobserved(flow_run: FlowRun) -> FlowRun:
    """Without its deployment the engine opens no websocket to hear of suspensions from outside: gates are inside.

    It reads the flow run again afterwards, so that `prefect.runtime` knows the deployment all the same.
    """
    return flow_run.model_copy(update={"deployment_id": None})
