"""The plan of a run: a value that is printed by `shipline plan` and executed by the flow as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import JsonValue, TypeAdapter

from delivery.artifact import Digest
from delivery.source import Change, ChangeSet, Revision


class Action(StrEnum):
    """What happens to a step or a build."""

    RUN = "run"
    SKIP = "skip"
    REUSE = "reuse"


@dataclass(frozen=True, slots=True)
class PlannedService:
    """Whether a service is reached by the change set, and why."""

    name: str
    impacted: bool
    because: tuple[str, ...]
    build_key: Digest | None = None
    """None for a library, which is not built by itself."""
    artifact: Digest | None = None
    """The digest that the build key already has; None means that it must be built."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One execution of a step: for the repository, or for one service."""

    name: str
    service: str | None
    action: Action
    because: tuple[str, ...]
    needs: tuple[str, ...]
    """Ids of planned steps that come first."""
    key: Digest
    """Hash of the command, inputs' content, tool versions, environment and platform."""
    components: Mapping[str, JsonValue] = field(default_factory=dict)
    """What the key is the digest of, so that a later run can tell what differs."""

    @property
    def id(self) -> str:
        """`name` or `name@service`: unique in the plan."""
        return f"{self.name}@{self.service}" if self.service else self.name


@dataclass(frozen=True, slots=True)
class PlannedDeploy:
    """An environment that the release would go on to, and what it would wait for there."""

    environment: str
    waits_for: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run does up to its release, in execution order, with every reason."""

    project: str
    revision: Revision
    version: str
    changes: ChangeSet
    services: tuple[PlannedService, ...]
    """Those that are built and run."""
    steps: tuple[PlannedStep, ...]
    deploys: tuple[PlannedDeploy, ...]
    fail_fast: bool = False
    libraries: tuple[PlannedService, ...] = ()
    sandbox: bool = False
    """Whether each executed step gets a checkout with nothing but its declared inputs."""
    shares: bool = False
    """Whether results go to the shared cache: a clean revision of the default branch, where there is such a cache.

    Then only results of such runs are reused, so that nothing else gets there through them.
    """

    def to_json(self) -> JsonValue:
        """Everything, as plain JSON; `from_json` gives the same plan again."""
        document: JsonValue = _PLAN.dump_python(self, mode="json")
        return document

    @classmethod
    def from_json(cls, document: JsonValue) -> "Plan":
        """The plan that `to_json` was called on; ValueError for anything else."""
        return _PLAN.validate_python(document)


_PLAN = TypeAdapter(Plan)


def plan_document(plan: Plan) -> dict[str, JsonValue]:
    """The plan as `shipline plan --json` prints it."""
    return {
        "project": plan.project,
        "revision": plan.revision.commit,
        "based_on": plan.revision.based_on,
        "dirty": plan.revision.dirty,
        "version": plan.version,
        "base": plan.changes.base,
        "base_because": plan.changes.base_because,
        "changed": [_changed(change) for change in plan.changes.changes],
        "services": [_service(service) for service in plan.services],
        "libraries": [_service(library) for library in plan.libraries],
        "steps": [_step(step) for step in plan.steps],
        "deploys": [{"environment": one.environment, "waits_for": list(one.waits_for)} for one in plan.deploys],
        "fail_fast": plan.fail_fast,
        "sandbox": plan.sandbox,
        "shares": plan.shares,
    }


def _changed(change: Change) -> dict[str, JsonValue]:
    return {
        "path": change.path,
        "change": change.change.value,
        "old_path": change.old_path,
        "mode_changed": change.mode_changed,
        "submodule": change.submodule,
    }


def _service(service: PlannedService) -> dict[str, JsonValue]:
    return {
        "name": service.name,
        "impacted": service.impacted,
        "because": list(service.because),
        "build_key": service.build_key,
        "artifact": service.artifact,
    }


def _step(step: PlannedStep) -> dict[str, JsonValue]:
    return {
        "id": step.id,
        "name": step.name,
        "service": step.service,
        "action": step.action.value,
        "because": list(step.because),
        "needs": list(step.needs),
        "key": step.key,
    }
