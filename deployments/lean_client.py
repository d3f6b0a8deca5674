"""Prefect's client inside one flow run: what this process wrote, or was given with its order, is not asked for.

Prefect's engine asks its server seven times before a flow's first line, and eight times for a subflow.
The flow run's process is the only one that moves it on, so half of the answers are known before
they are asked for. What somebody else may change (a cancellation) is not answered from here.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.objects import Flow, FlowRun, State
from prefect.client.schemas.responses import SetStateStatus, StateAcceptDetails
from prefect.context import AsyncClientContext, ContextModel
from prefect.settings import get_current_settings
from prefect.states import Running

_UNSAID = frozenset({"flow_version", "empirical_policy"})
"""What the engine tells of every flow run, and nobody reads unless Prefect is to try again by itself."""


class LeanClient(PrefectClient):
    """Knows the flow runs that this process executes."""

    def __init__(self) -> None:
        """To the server that the settings name."""
        api = get_current_settings().api
        auth = api.auth_string.get_secret_value() if api.auth_string else None
        super().__init__(str(api.url), auth_string=auth)
        self._known: dict[UUID, FlowRun] = {}
        self._flows: dict[UUID, Flow] = {}
        self._made_running: set[UUID] = set()
        self._anew = False

    def know(self, flow_run: FlowRun) -> None:
        """The flow run that this process is for, as it was when it became due."""
        self._known[flow_run.id] = flow_run
        self._anew = not flow_run.run_count

    async def read_flow_run(self, flow_run_id: UUID) -> FlowRun:
        """Ours as we have left it; others as the server has them."""
        known = self._known.get(flow_run_id)
        return known.model_copy() if known else await super().read_flow_run(flow_run_id)

    async def read_flow(self, flow_id: UUID) -> Flow:
        """The flow of a subflow that began here has a name, which is all that is asked of it."""
        return self._flows.get(flow_id) or await super().read_flow(flow_id)

    async def read_flow_runs(self, *, flow_run_filter: Any = None, **more: Any) -> list[FlowRun]:  # noqa: ANN401  # Prefect's
        """A flow run that begins for the first time has no subflows from an earlier attempt."""
        if self._anew and flow_run_filter is not None and flow_run_filter.parent_task_run_id is not None:
            return []
        return await super().read_flow_runs(flow_run_filter=flow_run_filter, **more)

    async def create_flow_run(  # type: ignore[override]  # the rest is handed on
        self,
        flow: Any,  # noqa: ANN401  # Prefect's protocol of a flow
        name: str | None = None,
        parameters: dict[str, Any] | None = None,
        parent_task_run_id: UUID | None = None,
        state: State[Any] | None = None,
        tags: Iterable[str] | None = None,
        **more: Any,  # noqa: ANN401  # handed on
    ) -> FlowRun:
        """A subflow is made with its name, and Running: two requests less."""
        given = {"parameters": parameters, "parent_task_run_id": parent_task_run_id, "tags": tags, **more}
        if parent_task_run_id is None:
            return await super().create_flow_run(flow, name=name, state=state, **given)
        name = name or _name_of(flow.flow_run_name, parameters or {})
        made = await super().create_flow_run(flow, name=name, state=Running(), **given)
        self._known[made.id] = made
        self._flows[made.flow_id] = Flow(id=made.flow_id, name=flow.name, labels={})
        self._made_running.add(made.id)
        return made

    async def set_flow_run_name(self, flow_run_id: UUID, name: str) -> httpx.Response:
        """Nothing, when it has the name already."""
        known = self._known.get(flow_run_id)
        return _done() if known and known.name == name else await super().set_flow_run_name(flow_run_id, name)

    async def update_flow_run(self, flow_run_id: UUID, **changes: Any) -> httpx.Response:  # type: ignore[override]  # noqa: ANN401  # handed on
        """Nothing, when it only says that Prefect need not try again."""
        policy = changes.get("empirical_policy")
        unsaid = changes.keys() <= _UNSAID and not (policy and policy.retries)
        return (
            _done() if unsaid and flow_run_id in self._known else await super().update_flow_run(flow_run_id, **changes)
        )

    async def set_flow_run_state(
        self,
        flow_run_id: UUID | str,
        state: State[Any],
        force: bool = False,  # noqa: FBT001, FBT002  # Prefect's
    ) -> OrchestrationResult[Any]:
        """The server's answer; a subflow that was made Running is so already."""
        known = self._known.get(UUID(str(flow_run_id)))
        if known and state.is_running() and known.id in self._made_running:
            self._made_running.discard(known.id)
            return OrchestrationResult(state=known.state, status=SetStateStatus.ACCEPT, details=StateAcceptDetails())
        result: OrchestrationResult[Any] = await super().set_flow_run_state(flow_run_id, state, force)
        if known and result.state:
            known.state = result.state
        return result


class LeanContext(AsyncClientContext):
    """Lets everything that asks Prefect for a client find this one."""

    def __init__(self, client: LeanClient) -> None:
        """Enter it in the loop that the client is for."""
        ContextModel.__init__(self, client=client)


def _name_of(template: object, parameters: Mapping[str, Any]) -> str | None:
    return template.format(**parameters) if isinstance(template, str) else None


def _done() -> httpx.Response:
    return httpx.Response(204)
