"""A run's report on Prefect's page: its steps, its failed tests, its artifacts."""

from collections.abc import Mapping, Sequence

from prefect.artifacts import acreate_markdown_artifact

from delivery.run import BuiltService
from delivery.running.report import artifacts_page, steps_page
from delivery.running.work import RunWork
from delivery.step import ReportSummary, StepResult


async def report_steps(work: RunWork, results: Mapping[str, StepResult]) -> None:
    """Show how the steps went, failed tests first; a run without any report is told by its task runs."""
    if any(one.report != ReportSummary() for one in results.values()):
        await acreate_markdown_artifact(steps_page(results), key=f"steps-{work.run.project}", description="Steps")


async def report_artifacts(work: RunWork, built: Sequence[BuiltService]) -> None:
    """Show what was built and what was reused, by digest."""
    await acreate_markdown_artifact(artifacts_page(built), key=f"artifacts-{work.run.project}", description="Artifacts")
