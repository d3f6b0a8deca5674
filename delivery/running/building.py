"""Building: an artifact per service, once for the same inputs, recipe and toolchain."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pydantic import JsonValue

from delivery.actor import SHIPLINE
from delivery.artifact import Artifact, Digest
from delivery.builds import LedgerBuilds
from delivery.config import Build, Step
from delivery.errors import PermanentError, TransientError
from delivery.ledger import Draft
from delivery.plan import Action, PlannedService, PlannedStep
from delivery.ports import Guard
from delivery.run import BuiltService
from delivery.running.given import isolation, variables
from delivery.running.steps import secret_for
from delivery.running.work import RunWork
from delivery.step import StepState
from delivery.step_execution import StepOrder, execute_step
from delivery.step_key import this_platform

MEDIA_TYPE = "application/vnd.shipline.archive.v1"


def build_name(service: str) -> str:
    """The name of a build's log: `shipline logs RUN --step build:web`."""
    return f"build:{service}"


def build_service(work: RunWork, planned: PlannedService, show: Callable[[str], None]) -> BuiltService:
    """The artifact of a service: the one that its build key has, or a new one.

    PermanentError when the build fails, TransientError when it could not be found out whether it does.
    """
    if planned.build_key is None:
        raise PermanentError(f"building {planned.name}: the plan has no build key for it")
    builds = LedgerBuilds(work.connections.ledger, work.run.project)
    known = builds.by_key(planned.build_key) if planned.artifact or _built_before(work, planned.build_key) else None
    if known and work.connections.artifacts.has(known.digest):
        return BuiltService(planned.name, known.digest, reused=planned.artifact is not None)
    build = work.configuration.services[planned.name].build
    artifact, exposure = _build(work, planned.name, planned.build_key, build, show)
    _record(work, artifact)
    return BuiltService(planned.name, artifact.digest, reused=False, exposure=exposure)


def _built_before(work: RunWork, key: Digest) -> bool:
    """Whether this very run has built it already, before it was begun again."""
    rows = work.connections.ledger.rows("artifacts", project=work.run.project, build_key=key, run=work.run.id)
    return bool(rows)


def _build(work: RunWork, service: str, key: Digest, build: Build, show: Callable[[str], None]) -> tuple[Artifact, str]:
    """The new artifact, and why this machine was not safe from its build."""
    name = build_name(service)
    step = Step(
        command=build.command,
        environment=build.environment,
        tools=build.tools,
        timeout_seconds=build.timeout_seconds,
        reuse=False,
    )
    with work.checkouts.taken() as (folder, private):
        planned = PlannedStep("build", service, Action.RUN, (), (), key)
        output = folder / build.output
        order = StepOrder(
            planned=planned,
            step=step,
            fixtures={},
            folder=folder,
            renew=work.checkouts.renew,
            private=private,
            log=work.logs / f"{name}.log",
            variables={**variables(work), "SHIPLINE_OUTPUT": str(output)},
            isolation=isolation(work, folder, private),
        )
        result = execute_step(order, work.connections.steps, secret_for(work, name), work.cancelled, show)
        hint = f"its log: shipline logs {work.run.id} --step {name}"
        if result.state is StepState.FAILED:
            raise PermanentError(f"building {service}: {result.reason}", hint=hint)
        if result.state is not StepState.COMPLETED:
            raise TransientError(f"building {service}: {result.reason}", hint=hint)
        _require_folder(service, folder, output, hint)
        digest, size = work.connections.artifacts.pack(output, _annotations(work, service))
    made = Artifact(service, digest, key, work.run.revision, MEDIA_TYPE, this_platform(), size)
    return replace(made, unprotected=result.unprotected), result.exposure


def _require_folder(service: str, folder: Path, output: Path, hint: str) -> None:
    """PermanentError when there is none, or a link leads elsewhere: what is packed is read by us, not by the build."""
    if not output.is_dir():
        raise PermanentError(f"building {service}: it left no folder {output.relative_to(folder)}", hint=hint)
    if not output.resolve().is_relative_to(folder.resolve()):
        where = output.relative_to(folder)
        raise PermanentError(f"building {service}: the folder {where} leads out of the checkout", hint=hint)


def _annotations(work: RunWork, service: str) -> dict[str, str]:
    return {
        "org.opencontainers.image.title": service,
        "org.opencontainers.image.version": work.plan.version,
        "org.opencontainers.image.revision": work.run.revision,
        "org.opencontainers.image.ref.name": f"{work.run.project}/{service}:{work.run.revision[:12]}",
    }


def _record(work: RunWork, artifact: Artifact) -> None:
    body: dict[str, JsonValue] = {
        "service": artifact.service,
        "digest": artifact.digest,
        "build_key": artifact.build_key,
        "revision": artifact.revision,
        "media_type": artifact.media_type,
        "platform": artifact.platform,
        "size": artifact.size,
        "origin": artifact.origin,
        "unprotected": artifact.unprotected,
        "run": work.run.id,
    }
    key = f"built/{work.run.id}/{artifact.service}/{artifact.digest}"
    draft = Draft("artifact.built", body, SHIPLINE, work.connections.clock.now(), key)
    work.connections.ledger.append(work.run.project, [draft], Guard(lease=work.lease))
