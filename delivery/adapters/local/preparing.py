"""What has to be in place before a side starts: its artifact, its router's port, its `before_rollout` command."""

import shutil
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import BinaryIO

from delivery.adapters import processes
from delivery.adapters.atomic_file import writing
from delivery.adapters.local import launching
from delivery.adapters.local.ports import free_port, is_free, owner_of
from delivery.adapters.local.state import Desired, EnvironmentState, Side, local_targets
from delivery.adapters.local.wanted import is_router, router_port
from delivery.adapters.process_runner import ProcessRunner
from delivery.artifact import Digest
from delivery.errors import ConfigurationError, PermanentError, TransientError
from delivery.home import Home
from delivery.masking import Mask
from delivery.ports import ArtifactStore
from delivery.rollout import RolloutPlan, Target
from delivery.runner import Ending, Exit, ProcessSpec

_SHOWN_LINES = 10


def unpack(artifacts: ArtifactStore, digest: Digest, folder: Path) -> None:
    """Have an artifact's tree in an environment's folder, whole or not at all."""
    place = launching.artifact_folder(folder, digest)
    if place.exists():
        return
    with writing(f"unpacking {digest}", folder):
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=place.parent) as beside:
            artifacts.unpack(digest, Path(beside) / "tree")
            (Path(beside) / "tree").replace(place)


def unpack_again(home: Home, artifacts: ArtifactStore) -> list[str]:
    """Have the artifacts of all that should run here in place, as after a rollout; what could not be had, told."""
    missing = []
    for state in (EnvironmentState(home, target) for target in local_targets(home)):
        for digest in sorted({side.artifact for side in state.desired().sides}):
            try:
                unpack(artifacts, digest, state.folder)
            except PermanentError as error:
                missing.append(f"{state.target.project}/{state.target.environment}: {error.message}")
    return missing


def remove_unused(folder: Path, desired: Desired) -> Desired:
    """Remove unpacked artifacts that no side uses, but for the previous ones; gives the state as it is."""
    used = {side.artifact for side in desired.sides} | set(desired.previous)
    for place in (folder / "artifacts").glob("[0-9a-f]*"):
        if f"sha256:{place.name}" not in used:
            shutil.rmtree(place, ignore_errors=True)
    return desired


def choose_ports(home: Home, state: EnvironmentState, desired: Desired, plan: RolloutPlan) -> dict[str, int]:
    """The router's port of every service: the declared one, else the remembered one, else a free one.

    TransientError when somebody else has it: once it is free, the same rollout goes on.
    """
    ours = {router_port(one.id) for one in state.observation().processes if is_router(one.id) and one.pid}
    chosen: dict[str, int] = {}
    for workload in plan.candidate.workloads:
        wanted = workload.run.port or desired.ports.get(workload.service)
        port = wanted or free_port({*_remembered(home), *chosen.values()})
        _check_port(plan.target, workload.service, port, chosen)
        if port not in ours and not is_free(port):
            raise _taken(home, plan.target, workload.service, port)
        chosen[workload.service] = port
    return chosen


def _check_port(target: Target, service: str, port: int, chosen: dict[str, int]) -> None:
    twin = next((other for other, taken in chosen.items() if taken == port), None)
    if twin:
        raise ConfigurationError(
            f"rolling out {target.project} to {target.environment}: {twin} and {service} both want port {port}",
            hint="give each service of each environment a port of its own in shipline.yaml",
        )


def _taken(home: Home, target: Target, service: str, port: int) -> TransientError:
    others = (other for other in local_targets(home) if other != target)
    other = next((one for one in others if port in _ports_of(home, one)), None)
    owner = f"environment {other.environment} of project {other.project}" if other else owner_of(port)
    return TransientError(
        f"rolling out {target.project} to {target.environment}: port {port} of {service} is taken by {owner}",
        hint="free the port and then shipline retry, or give the service another one in shipline.yaml",
    )


def _remembered(home: Home) -> Collection[int]:
    return {port for target in local_targets(home) for port in _ports_of(home, target)}


def _ports_of(home: Home, target: Target) -> Collection[int]:
    with suppress(PermanentError):  # the state of another environment cannot be read: its own rollout will say so
        return EnvironmentState(home, target).desired().taken
    return ()


def run_before_rollout(target: Target, folder: Path, side: Side, resolve: launching.Resolve) -> None:
    """Run a service's `before_rollout` command in its new artifact; PermanentError, with its last lines, on failure."""
    before = side.run.before_rollout
    if before is None:
        return
    secrets = launching.resolved(side, resolve)
    spec = ProcessSpec(
        arguments=launching.arguments(before.command, None),
        folder=launching.artifact_folder(folder, side.artifact),
        environment=launching.environment(target, folder, side, secrets),
        timeout_seconds=before.timeout_seconds,
    )
    log = folder / "logs" / f"before-rollout-{side.service}.log"
    ended = _run_logged(spec, log, Mask(secrets.values()))
    if not ended.succeeded:
        raise PermanentError(
            f"running before_rollout of {side.service} in {target.environment}: {_why(ended, before.timeout_seconds)}"
            f"; its last output:\n{processes.last_lines(log, _SHOWN_LINES)}",
            hint=f"the whole output is in {log}",
        )


def _run_logged(spec: ProcessSpec, log: Path, mask: Mask) -> Exit:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        ended = ProcessRunner().run(spec, lambda chunk: _write(file, mask.feed(chunk)), Event())
        file.write(mask.flush())
    return ended


def _write(file: BinaryIO, chunk: bytes) -> None:
    file.write(chunk)


def _why(ended: Exit, timeout_seconds: float) -> str:
    if ended.ending is Ending.EXITED:
        return f"it ended with exit code {ended.code}"
    if ended.ending is Ending.TIMED_OUT:
        return f"it ran longer than {timeout_seconds:g} s"
    return f"it was {ended.ending}" if ended.ending is not Ending.NOT_FOUND else "its command was not found"
