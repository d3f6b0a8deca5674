"""The port `FlowRuns` on a Prefect server, by its REST API: importing Prefect would cost the control plane 70 MB."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import JsonValue

from delivery.errors import NotFoundError, PermanentError
from delivery.ports import Row
from deployments.placements import (
    PLACED_FLOWS,
    WORK_POOL_TYPE,
    PlacedFlow,
    Placement,
    placements,
    run_tags,
    work_pool_name,
)
from deployments.prefect_rest import PrefectRest
from deployments.prefect_work import DueFlowRun, read_due

JOB_TEMPLATE: Mapping[str, JsonValue] = {
    "job_configuration": {"env": "{{ env }}"},
    "variables": {
        "type": "object",
        "properties": {"env": {"type": "object", "additionalProperties": {"type": "string"}}},
    },
}
"""A work pool's job: nothing to configure. The single variable saves Prefect 10 ms of checking per flow run."""


class PrefectPlacement:
    """Starts and wakes flow runs on one Prefect server. Thread-safe."""

    def __init__(
        self,
        rest: PrefectRest,
        ui_url: str | None = None,
        flows: Sequence[PlacedFlow] = PLACED_FLOWS,
        due: Callable[[DueFlowRun], None] = lambda _: None,
    ) -> None:
        """`ui_url` is where people's browsers look; `due` is told of flow runs that were made, so that none waits."""
        self._rest = rest
        self._ui_url = ui_url
        self._flows = flows
        self._due = due
        self._deployments: dict[str, str] = {}
        self._ensured: dict[str, frozenset[str]] = {}

    def close(self) -> None:
        """Give the connections back."""
        self._rest.close()

    def ensure_deployments(self, project: str, environments: Iterable[str]) -> None:
        """Work pools and Prefect deployments of a project; idempotent, and asked of Prefect once for the same."""
        names = list(environments)
        known = self._ensured.get(project)
        if known is not None and known.issuperset(names):
            return
        self.ensure_work_pools(project, names)
        wanted = list(placements(project, names, self._flows))
        flows = {name: self._flow_id(name) for name in sorted({placement.flow.name for placement in wanted})}
        for placement in wanted:
            answer = self._rest.ask("POST", "/deployments/", _deployment(placement, flows[placement.flow.name]))
            self._deployments[f"{placement.flow.name}/{placement.name}"] = str(answer["id"])
        self._ensured[project] = frozenset(names)

    def ensure_work_pools(self, project: str, environments: Iterable[str]) -> None:
        """A pool for each environment, and the one for everything else; idempotent."""
        for environment in (None, *environments):
            self._ensure_work_pool(work_pool_name(project, environment))

    def start(
        self,
        flow: str,
        project: str,
        parameters: Row,
        key: str,
        environment: str | None = None,
        name: str = "",
    ) -> str:
        """Request a top-level flow run, or return the id of the one that this key already started."""
        request: dict[str, JsonValue] = {
            "parameters": dict(parameters),
            "idempotency_key": key,
            "tags": [*run_tags(project, environment)],
            "state": {"type": "SCHEDULED"},
            **({"name": name} if name else {}),
        }
        deployment = f"{flow}/{project}.{environment}" if environment else f"{flow}/{project}"
        try:
            answer = self._create(deployment, request)
        except NotFoundError:  # Prefect's database was dropped since: its deployments are made anew
            self._deployments.clear()
            self._ensured.clear()
            self.ensure_deployments(project, [environment] if environment else [])
            answer = self._create(deployment, request)
        if answer["state_type"] == "SCHEDULED":
            self._due(read_due(answer))
        return str(answer["id"])

    def _create(self, deployment: str, request: Mapping[str, JsonValue]) -> Mapping[str, Any]:
        path = f"/deployments/{self._deployment_id(deployment)}/create_flow_run"
        return dict(self._rest.ask("POST", path, request))

    def wake(self, flow_run: str) -> bool:
        """Resume a suspended flow run with `decision: recheck`; False when it is not suspended or unknown."""
        found = self._read(flow_run)
        if found is None or found["state_type"] != "PAUSED":  # the server answers 500 for what it does not know
            return False
        answer = self._rest.ask("POST", f"/flow_runs/{flow_run}/resume", {"run_input": {"decision": "recheck"}})
        accepted = bool(answer["status"] == "ACCEPT")  # the HTTP status says 200 for a rejection too
        if accepted:
            state = answer["state"]
            self._due(read_due({**found, "state": state, "state_id": state["id"], "state_type": state["type"]}))
        return accepted

    def state(self, flow_run: str) -> str | None:
        """Prefect's state type (`RUNNING`, `PAUSED`, ...); None when unknown to Prefect."""
        found = self._read(flow_run)
        return None if found is None else str(found["state_type"])

    def _read(self, flow_run: str) -> Mapping[str, Any] | None:
        with suppress(NotFoundError):
            return dict(self._rest.ask("GET", f"/flow_runs/{flow_run}"))
        return None

    def url(self, flow_run: str) -> str:
        """Its page, for people: of the pages that ask a stranger to sign in first; the older ones say "not found"."""
        pages = (self._ui_url or self._rest.api_url().removesuffix("/api")).rstrip("/")
        return f"{pages}/v2/runs/flow-run/{flow_run}"

    def history(self, project: str) -> Iterator[Row]:
        """Every flow run of a project, oldest first: `{id, flow, parameters, state, message, started_at, ended_at}`."""
        flows = {str(flow["id"]): str(flow["name"]) for flow in self._rest.pages("/flows/filter", {"sort": "NAME_ASC"})}
        wanted: dict[str, JsonValue] = {
            "flow_runs": {"tags": {"all_": [f"project:{project}"]}},
            "sort": "EXPECTED_START_TIME_ASC",
        }
        for run in self._rest.pages("/flow_runs/filter", wanted):
            state = run["state"] or {}
            yield {
                "id": run["id"],
                "flow": flows.get(str(run["flow_id"]), ""),
                "parameters": run["parameters"],
                "state": run["state_type"],
                "message": state.get("message"),
                "started_at": run["start_time"],
                "ended_at": run["end_time"],
            }

    def _ensure_work_pool(self, name: str) -> None:
        template: dict[str, JsonValue] = {"base_job_template": dict(JOB_TEMPLATE)}
        try:
            self._rest.ask("POST", "/work_pools/", {"name": name, "type": WORK_POOL_TYPE, **template})
        except PermanentError:  # it is there
            self._rest.ask("PATCH", f"/work_pools/{name}", template)

    def _flow_id(self, name: str) -> str:
        return str(self._rest.ask("POST", "/flows/", {"name": name})["id"])

    def _deployment_id(self, name: str) -> str:
        if name not in self._deployments:
            self._deployments[name] = str(self._rest.ask("GET", f"/deployments/name/{name}")["id"])
        return self._deployments[name]


def _deployment(placement: Placement, flow_id: str) -> dict[str, JsonValue]:
    cron = placement.flow.cron
    schedules: list[JsonValue] = [{"schedule": {"cron": cron, "timezone": "UTC"}, "slug": "weekly"}] if cron else []
    return {
        "name": placement.name,
        "flow_id": flow_id,
        "entrypoint": placement.flow.entrypoint,
        "work_pool_name": placement.work_pool,
        "tags": [*placement.tags],
        "parameters": placement.default_parameters(),
        "parameter_openapi_schema": placement.parameter_schema(),
        "enforce_parameter_schema": True,
        "pull_steps": [],
        "schedules": schedules,
    }
