"""The port `FlowRuns` on a Prefect server, by its REST API: importing Prefect would cost the control plane 70 MB."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

import httpx
from pydantic import JsonValue

from delivery.errors import ConfigurationError, NotFoundError, PermanentError, TransientError
from delivery.ports import Row
from deployments.placements import PLACED_FLOWS, PlacedFlow, Placement, placements, run_tags, work_pool_name

_UNAVAILABLE = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that say nothing about the request. Requests that start something carry an idempotency key."""
_RETRY_SECONDS = 15.0
"""As long as Prefect's server takes to come back after its supervisor has seen it die."""
_NOT_FOUND, _UNAUTHORIZED, _INVALID = 404, 401, 422
_PAGE = 200
"""The most rows that Prefect gives at once."""


WORK_POOL_TYPE = "shipline"
"""As `deployments.shipline_worker` names itself; importing it would import Prefect."""
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
        api_url: str | Callable[[], str],
        auth_string: str,
        ui_url: str | None = None,
        flows: Sequence[PlacedFlow] = PLACED_FLOWS,
    ) -> None:
        """`auth_string` is `user:password`; `ui_url` is where people's browsers look.

        `api_url` ends in `/api`; a function is asked for it each time, since the server may move.
        """
        user, _, password = auth_string.partition(":")
        self._http = httpx.Client(auth=(user, password) if auth_string else None, timeout=30.0, trust_env=False)
        self._api_url = api_url if callable(api_url) else lambda: api_url
        self._ui_url = ui_url
        self._flows = flows
        self._deployments: dict[str, str] = {}

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def ensure_deployments(self, project: str, environments: Iterable[str]) -> None:
        """Work pools and Prefect deployments of a project; idempotent."""
        names = list(environments)
        self.ensure_work_pools(project, names)
        wanted = list(placements(project, names, self._flows))
        flows = {name: self._flow_id(name) for name in sorted({placement.flow.name for placement in wanted})}
        for placement in wanted:
            answer = self._ask("POST", "/deployments/", _deployment(placement, flows[placement.flow.name]))
            self._deployments[f"{placement.flow.name}/{placement.name}"] = str(answer["id"])

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
            answer = self._ask("POST", f"/deployments/{self._deployment_id(deployment)}/create_flow_run", request)
        except NotFoundError:  # Prefect's database was dropped since: its deployments are made anew
            self._deployments.pop(deployment, None)
            self.ensure_deployments(project, [environment] if environment else [])
            answer = self._ask("POST", f"/deployments/{self._deployment_id(deployment)}/create_flow_run", request)
        return str(answer["id"])

    def wake(self, flow_run: str) -> bool:
        """Resume a suspended flow run with `decision: recheck`; False when it is not suspended or unknown."""
        if self.state(flow_run) != "PAUSED":  # asked first, because the server answers 500 for what it does not know
            return False
        answer = self._ask("POST", f"/flow_runs/{flow_run}/resume", {"run_input": {"decision": "recheck"}})
        return bool(answer["status"] == "ACCEPT")  # the HTTP status says 200 for a rejection too

    def state(self, flow_run: str) -> str | None:
        """Prefect's state type (`RUNNING`, `PAUSED`, ...); None when unknown to Prefect."""
        with suppress(NotFoundError):
            return str(self._ask("GET", f"/flow_runs/{flow_run}")["state_type"])
        return None

    def url(self, flow_run: str) -> str:
        """Its page, for people: of the pages that ask a stranger to sign in first; the older ones say "not found"."""
        pages = (self._ui_url or self._api_url().removesuffix("/api")).rstrip("/")
        return f"{pages}/v2/runs/flow-run/{flow_run}"

    def history(self, project: str) -> Iterator[Row]:
        """Every flow run of a project, oldest first: `{id, flow, parameters, state, message, started_at, ended_at}`."""
        flows = {str(flow["id"]): str(flow["name"]) for flow in self._pages("/flows/filter", {"sort": "NAME_ASC"})}
        wanted: dict[str, JsonValue] = {
            "flow_runs": {"tags": {"all_": [f"project:{project}"]}},
            "sort": "EXPECTED_START_TIME_ASC",
        }
        for run in self._pages("/flow_runs/filter", wanted):
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

    def _pages(self, path: str, wanted: Mapping[str, JsonValue]) -> Iterator[dict[str, Any]]:
        """Every row that a filter finds."""
        for offset in count(0, _PAGE):
            rows = self._ask("POST", path, {**wanted, "limit": _PAGE, "offset": offset})
            yield from rows
            if len(rows) < _PAGE:
                return

    def _ensure_work_pool(self, name: str) -> None:
        template: dict[str, JsonValue] = {"base_job_template": dict(JOB_TEMPLATE)}
        try:
            self._ask("POST", "/work_pools/", {"name": name, "type": WORK_POOL_TYPE, **template})
        except PermanentError:  # it is there
            self._ask("PATCH", f"/work_pools/{name}", template)

    def _flow_id(self, name: str) -> str:
        return str(self._ask("POST", "/flows/", {"name": name})["id"])

    def _deployment_id(self, name: str) -> str:
        if name not in self._deployments:
            self._deployments[name] = str(self._ask("GET", f"/deployments/name/{name}")["id"])
        return self._deployments[name]

    def _ask(self, method: str, path: str, body: Mapping[str, JsonValue] | None = None) -> Any:  # noqa: ANN401  # JSON
        """The answer's document; asks again while the server is away."""
        doing = f"asking Prefect to {method} {path}"
        deadline, pause = time.monotonic() + _RETRY_SECONDS, 0.05
        while True:
            answer, cause = self._attempt(method, path, body)
            if answer is not None:
                _raise_for(doing, answer)
                return answer.json() if answer.content else {}
            if time.monotonic() + pause > deadline:
                raise TransientError(f"{doing}: {cause}", hint="see prefect.log in the control plane's logs")
            time.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311  # spreads retries; no secret
            pause = min(pause * 2, 1.0)

    def _attempt(
        self, method: str, path: str, body: Mapping[str, JsonValue] | None
    ) -> tuple[httpx.Response | None, str]:
        """An answer that says something about the request, or why there is none."""
        try:
            answer = self._http.request(method, f"{self._api_url()}{path}", json=body)
        except httpx.TransportError as error:
            return None, str(error) or type(error).__name__
        if answer.status_code in _UNAVAILABLE:
            return None, f"the server answered {answer.status_code}"
        return answer, ""


def _raise_for(doing: str, answer: httpx.Response) -> None:
    if answer.is_success:
        return
    cause = f"{doing}: {answer.text[:256] or answer.status_code}"
    if answer.status_code == _NOT_FOUND:
        raise NotFoundError(cause)
    if answer.status_code == _UNAUTHORIZED:
        raise PermanentError(f"{doing}: not authorised", hint="the home's prefect-auth is not this server's")
    if answer.status_code == _INVALID:
        raise ConfigurationError(cause)
    raise PermanentError(cause)


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
