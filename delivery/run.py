"""Runs: verifying and building one revision, as the operations tables keep it.

Losing a run's document loses no truth: what it tested and built stands in the ledger.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from pydantic import JsonValue, TypeAdapter

from delivery.artifact import Digest
from delivery.ledger import utc_text


class RunState(StrEnum):
    """How a run stands, or how it ended."""

    QUEUED = "Queued"
    RUNNING = "Running"
    WAITING = "Waiting"
    COMPLETED = "Completed"
    FAILED = "Failed"
    ERRORED = "Errored"
    REFUSED = "Refused"
    CANCELLED = "Cancelled"


ENDED = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.ERRORED, RunState.REFUSED, RunState.CANCELLED})


@dataclass(frozen=True, slots=True)
class BuiltService:
    """A service's artifact in a run, and whether it had been built before."""

    service: str
    digest: Digest
    reused: bool
    exposure: str = ""
    """Why this machine was not safe from its build; empty when it was, or when nothing was built."""


@dataclass(frozen=True, slots=True)
class Run:
    """One request to take a revision as far as it may go. Its plan is stored beside it, under the same id."""

    id: str
    project: str
    revision: str
    based_on: str | None
    """For uncommitted changes: the commit below them."""
    requested_at: datetime
    requested_by: str
    state: RunState = RunState.QUEUED
    problem: str = ""
    """Why it Failed or Errored, for people."""
    started_at: datetime | None = None
    verified_at: datetime | None = None
    """When its own work (tests and builds) was done; promotions go on after it."""
    release: Digest | None = None
    artifacts: tuple[BuiltService, ...] = ()
    flow_run: str | None = None
    attempt: int = 1
    """Grows with every retry."""
    abort_requested: str | None = None
    plan_digest: Digest | None = None
    partial: bool = False
    """Asked for some steps only (`--only`): nothing is released or promoted."""
    hotfix: bool = False
    """Whether its promotions are hotfixes: nobody had planned them."""
    request: str | None = None
    """The caller's own id of the request: the same one twice is one run."""

    def document(self) -> dict[str, JsonValue]:
        """As the operations tables keep it."""
        found = _ADAPTER.dump_python(self, mode="json")
        return {**found, "requested_at": utc_text(self.requested_at)}

    @classmethod
    def read(cls, document: object) -> "Run":
        """From its document."""
        return _ADAPTER.validate_python(document)

    def ended(self, state: RunState, problem: str, at: datetime) -> "Run":
        """The run with its own work done."""
        return replace(self, state=state, problem=problem, verified_at=at)


_ADAPTER: TypeAdapter[Run] = TypeAdapter(Run)


def lease_name(run: str) -> str:
    """The name of the lease that whoever works on a run holds."""
    return f"run:{run}"
