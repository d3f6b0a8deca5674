"""The logs of a run, one for each step and build in the order of its plan, and the log of a promotion."""

from pathlib import Path

from pydantic import JsonValue

from delivery.connections import Connections
from delivery.errors import ConfigurationError, NotFoundError
from delivery.plan import Plan
from delivery.promoting.turn import read_promotions
from delivery.running.building import build_name
from delivery.running.work import read_run


def log_documents(connections: Connections, run: str) -> list[JsonValue]:
    """Name and size of every log that has been begun, so that a reader asks only for those that grew."""
    files = {name: _file(connections, run, name) for name in log_names(connections, run)}
    return [{"name": name, "bytes": file.stat().st_size} for name, file in files.items() if file.is_file()]


def log_names(connections: Connections, run: str) -> list[str]:
    """Every log that the run may write: `unit`, `unit@api`, `build:api`."""
    document = connections.operations.load("plans", run)
    if document is None:
        return []
    plan = Plan.from_json(document.get("plan"))
    return [*(step.id for step in plan.steps), *(build_name(service.name) for service in plan.services)]


def find_log(connections: Connections, identity: str, step: str | None) -> tuple[Path, bool]:
    """The log file of a step of a run, or of a promotion, and whether nothing is added any more."""
    promotions = read_promotions(connections, id=identity)
    if promotions:
        return connections.home.run_logs(promotions[0].id) / "promotion.log", promotions[0].phase.final
    run = read_run(connections, identity)
    document = connections.operations.load("steps", f"{identity}/{step}") if step else None
    if document is None:
        _require_log(connections, identity, step)
    ended = run.verified_at is not None or (document is not None and document.get("state") != "Running")
    return _file(connections, identity, str(step)), ended


def _require_log(connections: Connections, run: str, step: str | None) -> None:
    names = log_names(connections, run)
    known = f"known are: {', '.join(names) or 'none'}"
    if step is None:
        raise ConfigurationError(f"reading the log of run {run}: each of its steps has its own", hint=known)
    if step not in names:
        raise NotFoundError(f"reading the log of step '{step}' of run {run}: there is no such step", hint=known)


def _file(connections: Connections, run: str, name: str) -> Path:
    return connections.home.run_logs(run) / f"{name}.log"
