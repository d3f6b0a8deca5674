"""Build a release: an artifact per service, once for the same inputs; only digests go on from here."""

import asyncio

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from delivery.run import BuiltService
from delivery.running.building import build_service
from delivery.running.releasing import make_release, record
from flows.acting import act
from flows.run_log import told_in_prefect
from flows.run_report import report_artifacts
from flows.steps import step
from flows.works import work_of

PARALLEL_BUILDS = 2


@flow(name="build-release", flow_run_name="build {run}", persist_result=False)
async def build_release(run: str) -> State[None]:
    """Build what has no artifact yet, and tell the ledger of the release."""
    work, slots = work_of(run), asyncio.Semaphore(PARALLEL_BUILDS)

    async def one_of_few(service: str) -> BuiltService:
        async with slots:
            return await build(run, service)

    built = await asyncio.gather(*(one_of_few(one.name) for one in work.plan.services))
    release = await act(make_release, work, built)
    await act(record, work, release)
    work.built.extend(built)
    if built:
        await report_artifacts(work, built)
    return Completed(message=release.digest if release else "")


@step("build", run_name="build {service}")
async def build(run: str, service: str) -> BuiltService:
    """The artifact of one service."""
    work = work_of(run)
    planned = next(one for one in work.plan.services if one.name == service)
    return await act(build_service, work, planned, told_in_prefect())
