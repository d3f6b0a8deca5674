"""What a host asks Prefect's server, and tells it: which flow runs are due, which were lost, that a worker lives."""

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import JsonValue

from delivery.errors import NotFoundError
from deployments.placements import WORK_POOL_TYPE
from deployments.prefect_rest import PrefectRest

_MOST_DUE = 200
"""Rows of one look: the oldest ones, so that the next look finds what is left."""
_SOON = timedelta(seconds=0.3)
HEARTBEAT_SECONDS = 30
UNFINISHED = ("PENDING", "RUNNING", "CANCELLING")
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_ENTRYPOINT_SECONDS = 10.0
"""For which it is remembered."""


@dataclass(frozen=True, slots=True)
class DueFlowRun:
    """A flow run in a Scheduled state."""

    flow_run: str
    state: str
    """The id of that state: a flow run that is resumed or tried again has another one."""
    pool: str
    document: Mapping[str, Any] | None = field(default=None, compare=False)
    """All that Prefect says of it; None when that is not at hand: whoever executes it asks."""
    entrypoint: str | None = field(default=None, compare=False)
    """Of its flow, by the Prefect deployment."""


@dataclass(frozen=True, slots=True)
class FlowRunState:
    """A flow run, and the id of the state that it is in."""

    flow_run: str
    state: str


def _read_state(row: Mapping[str, Any]) -> FlowRunState:
    return FlowRunState(str(row["id"]), str(row["state_id"]))


def read_due(row: Mapping[str, Any]) -> DueFlowRun:
    """From Prefect's document of a flow run."""
    return DueFlowRun(str(row["id"]), str(row["state_id"]), str(row["work_pool_name"]), row)


class PrefectWork:
    """One Prefect server, as a host of work pools sees it."""

    def __init__(self, rest: PrefectRest, pool: str | None = None) -> None:
        """Of every pool of our type, or of one."""
        self.rest = rest
        self._entrypoints: dict[str, tuple[str, float]] = {}
        self._pools: dict[str, JsonValue] = {"type": {"any_": [WORK_POOL_TYPE]}}
        if pool:
            self._pools["name"] = {"any_": [pool]}

    def due(self, flow_run: str | None = None) -> Sequence[DueFlowRun]:
        """What should run now in the pools, the longest due first; or this one, if it should."""
        soon = (datetime.now(UTC) + _SOON).isoformat()
        wanted: dict[str, JsonValue] = {
            "flow_runs": {
                "state": {"type": {"any_": ["SCHEDULED"]}},
                "next_scheduled_start_time": {"before_": soon},
                **({"id": {"any_": [flow_run]}} if flow_run else {}),
            },
            "work_pools": self._pools,
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": _MOST_DUE,
        }
        return [read_due(row) for row in self.rest.ask("POST", "/flow_runs/filter", wanted)]

    def entrypoint(self, deployment: str) -> str:
        """Of a Prefect deployment, which may be placed anew now and then."""
        known, at = self._entrypoints.get(deployment, ("", -math.inf))
        if time.monotonic() - at > _ENTRYPOINT_SECONDS:
            known, at = str(self.rest.ask("GET", f"/deployments/{deployment}")["entrypoint"]), time.monotonic()
            self._entrypoints[deployment] = (known, at)
        return known

    def cancelled(self, flow_runs: Collection[str]) -> list[str]:
        """Which of them somebody has cancelled."""
        wanted: dict[str, JsonValue] = {
            "flow_runs": {"id": {"any_": [*flow_runs]}, "state": {"type": {"any_": ["CANCELLING", "CANCELLED"]}}},
            "limit": _MOST_DUE,
        }
        return [str(row["id"]) for row in self.rest.ask("POST", "/flow_runs/filter", wanted)] if flow_runs else []

    def at_work(self) -> list[FlowRunState]:
        """Flow runs of the pools that, as Prefect has it, somebody works on or is to stop."""
        wanted: dict[str, JsonValue] = {
            "flow_runs": {"state": {"type": {"any_": [*UNFINISHED]}}},
            "work_pools": self._pools,
        }
        return [_read_state(row) for row in self.rest.pages("/flow_runs/filter", {**wanted, "sort": "ID_DESC"})]

    def at_work_below(self, flow_run: str) -> list[FlowRunState]:
        """The same of its subflows."""
        of_it: dict[str, JsonValue] = {
            "parent_flow_run_id": {"any_": [flow_run]},
            "state": {"type": {"any_": [*UNFINISHED]}},
        }
        return [
            _read_state(row) for row in self.rest.pages("/flow_runs/filter", {"flow_runs": of_it, "sort": "ID_DESC"})
        ]

    def left_at_work(self) -> list[FlowRunState]:
        """Subflows that somebody should work on though the flow run of the pools that they belong to has ended."""
        below: dict[str, JsonValue] = {
            "parent_task_run_id": {"is_null_": False},
            "state": {"type": {"any_": [*UNFINISHED]}},
        }
        rows = list(self.rest.pages("/flow_runs/filter", {"flow_runs": below, "sort": "ID_DESC"}))
        parents = self._parents([str(row["parent_task_run_id"]) for row in rows]) if rows else {}
        ended = self._ended(sorted(set(parents.values())))
        return [_read_state(row) for row in rows if parents.get(str(row["parent_task_run_id"])) in ended]

    def _parents(self, task_runs: Collection[str]) -> dict[str, str]:
        """By task run: the flow run that it belongs to."""
        wanted: dict[str, JsonValue] = {"task_runs": {"id": {"any_": [*task_runs]}}}
        return {str(row["id"]): str(row["flow_run_id"]) for row in self.rest.pages("/task_runs/filter", wanted)}

    def _ended(self, flow_runs: Collection[str]) -> set[str]:
        """Which of them are of the pools and have ended."""
        wanted: dict[str, JsonValue] = {
            "flow_runs": {"id": {"any_": [*flow_runs]}, "state": {"type": {"any_": [*ENDED]}}},
            "work_pools": self._pools,
            "sort": "ID_DESC",
        }
        return {str(row["id"]) for row in self.rest.pages("/flow_runs/filter", wanted)} if flow_runs else set()

    def state(self, flow_run: str) -> str | None:
        """Prefect's state type; None when it knows no such flow run."""
        try:
            return str(self.rest.ask("GET", f"/flow_runs/{flow_run}")["state_type"])
        except NotFoundError:
            return None

    def tell(self, flow_run: str, kind: str, message: str) -> None:
        """Set a flow run's state, whatever it is now (`CRASHED`, `CANCELLED`)."""
        state: dict[str, JsonValue] = {"type": kind, "name": kind.capitalize(), "message": message}
        self.rest.ask("POST", f"/flow_runs/{flow_run}/set_state", {"state": state, "force": True})

    def heartbeat(self, worker: str) -> dict[str, int | None]:
        """Say in every pool that a worker lives; how many flow runs each lets run, none while it is paused."""
        limits: dict[str, int | None] = {}
        alive: dict[str, JsonValue] = {"name": worker, "heartbeat_interval_seconds": HEARTBEAT_SECONDS}
        wanted: dict[str, JsonValue] = {"work_pools": self._pools}
        for pool in self.rest.pages("/work_pools/filter", wanted):
            self.rest.ask("POST", f"/work_pools/{pool['name']}/workers/heartbeat", alive)
            limits[str(pool["name"])] = 0 if pool["is_paused"] else pool["concurrency_limit"]
        return limits
