"""Report DORA's metrics of the last weeks as a run report: started weekly, or by hand."""

import asyncio

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import JsonValue

from delivery.adapters.embedded import connected_here
from delivery.connections import Connections
from delivery.dora import measure
from delivery.dora_question import parse_question
from delivery.dora_report import markdown
from delivery.dora_rows import read_history


@flow(name="report-dora", flow_run_name="dora {project}", persist_result=False)
async def report_dora(project: str) -> State[None]:
    """Measure a project's deliveries and show them."""
    connections = await asyncio.to_thread(connected_here)
    measured = await asyncio.to_thread(measure_project, connections, project)
    await acreate_markdown_artifact(markdown(measured, project), key=f"dora-{project}", description="DORA metrics")
    return Completed(message=f"{measured['n']} deployments")


def measure_project(connections: Connections, project: str) -> dict[str, JsonValue]:
    """The metrics over the usual window."""
    now = connections.clock.now()
    rows = (connections.ledger.rows(table, project=project) for table in ("deployments", "commits", "incidents"))
    return measure(read_history(*rows), parse_question({}, now), now)
