"""What is said of a project that declares no service: it is tested and versioned, and that is all."""

from collections.abc import Mapping

from pydantic import JsonValue

from delivery.config import Configuration
from delivery.connections import Connections
from delivery.run import Run, RunState

NOTHING_DEPLOYED = "nothing is deployed: no service is declared"


def note_of_project(connections: Connections, project: str) -> str:
    """By the revision that was tested last; empty when there is none or it made a release."""
    tested = connections.ledger.rows("revisions", order="-tested_at", limit=1, project=project)
    return NOTHING_DEPLOYED if tested and not tested[0].get("release") else ""


def note_of_configuration(configuration: Configuration) -> str:
    """Empty when it declares a service."""
    return "" if configuration.services else NOTHING_DEPLOYED


def note_of_run(run: Run, plan: JsonValue) -> str:
    """What came of a run that had nothing to build; empty for any other."""
    if run.state is not RunState.COMPLETED or not isinstance(plan, Mapping) or plan.get("services"):
        return ""
    return f"version {plan.get('version')}; {NOTHING_DEPLOYED}"
