"""Reconciling: compare the ledger with Prefect's history, and append what was missed, marked as observed late."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from delivery.actor import SHIPLINE
from delivery.ledger import Draft
from delivery.promoting.turn import read_promotions
from shipline.control.control import Control

ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


def reconcile(control: Control) -> int:
    """How many entries were appended; a second time appends none."""
    return sum(_reconcile(control, str(row["slug"])) for row in control.ports.ledger.rows("projects"))


def _reconcile(control: Control, project: str) -> int:
    ledger = control.ports.ledger
    before = ledger.streams()[project][0]
    drafts = [
        Draft("flow_run.observed", body, SHIPLINE, control.ports.clock.now(), f"flow-run/{body['id']}")
        for body in missed(control.flow_runs.history(project), known_flow_runs(control, project))
    ]
    if drafts:
        ledger.append(project, drafts)
    return ledger.streams()[project][0] - before


def known_flow_runs(control: Control, project: str) -> frozenset[str]:
    """Ids of promotions and runs that the ledger tells of."""
    promotions = {one.id for one in read_promotions(control.ports, project=project)}
    runs = {str(row["run"]) for row in control.ports.ledger.rows("revisions", project=project)}
    return frozenset(promotions | runs)


def missed(history: Iterator[Mapping[str, JsonValue]], known: frozenset[str]) -> Iterator[dict[str, JsonValue]]:
    """Ended flow runs that worked on something the ledger has never heard of."""
    for row in history:
        parameters = row["parameters"]
        subject = parameters.get("promotion") or parameters.get("run") if isinstance(parameters, dict) else None
        if subject and row["state"] in ENDED and str(subject) not in known:
            yield {**row, "subject": subject, "observed_late": True}
