"""Starting an environment's processes, and telling how they ended without telling a secret."""

import signal
from collections.abc import Collection
from pathlib import Path

from delivery.adapters import processes
from delivery.adapters.local import launching, router
from delivery.adapters.local.ports import free_port
from delivery.adapters.local.state import EnvironmentState, ProcessRecord, Side
from delivery.adapters.local.wanted import Wanted
from delivery.adapters.processes import Launch, ProcessIdentity
from delivery.errors import DeliveryError

_ROUTER_GRACE_SECONDS = 10.0


class Starter:
    """Starts what one environment wants."""

    def __init__(self, state: EnvironmentState, resolve: launching.Resolve) -> None:
        self._state, self._resolve = state, resolve

    def start(self, wanted: Wanted, taken: Collection[int]) -> tuple[ProcessIdentity, int]:
        """Start a process; its identity and the port that it was given (a router's: that of its API)."""
        port = free_port(taken)
        launch = self._instance(wanted, wanted.side, port) if wanted.side else self._router(wanted, port)
        return processes.spawn(launch), port

    def record(self, wanted: Wanted) -> ProcessRecord:
        """What is remembered of a process before its first start."""
        side = wanted.side
        if side is None:
            return ProcessRecord(id=wanted.id, service=wanted.service, grace_seconds=_ROUTER_GRACE_SECONDS)
        return ProcessRecord(
            id=wanted.id,
            service=side.service,
            side=side.id,
            artifact=side.artifact,
            release=side.release,
            grace_seconds=side.run.stop_grace_seconds,
            health_timeout_seconds=side.run.health.timeout_seconds,
        )

    def ending(self, record: ProcessRecord, side: Side | None) -> str:
        """How a process ended and the last it said, with its secrets masked."""
        return f"{_ending(record.identity)}{self._said(record, side)}"

    def routes_file(self, process: str) -> Path:
        """Where a router reads its routes."""
        return self._state.folder / "router" / process / "routes.yaml"

    def log(self, process: str) -> Path:
        """Where a process writes."""
        return self._state.folder / "logs" / f"{process}.log"

    def _said(self, record: ProcessRecord, side: Side | None) -> str:
        if record.side and side is None:
            return ""  # its side is not wanted any more, and nothing else says which secrets it had
        try:
            secrets = launching.resolved(side, self._resolve).values() if side else ()
        except DeliveryError:
            return ""  # what cannot be masked is not shown
        lines = processes.last_lines(self.log(record.id), lines=6, maximum_bytes=2048, secrets=secrets)
        return f"; its last output:\n{lines}" if lines else ""

    def _instance(self, wanted: Wanted, side: Side, port: int) -> Launch:
        folder = self._state.folder
        secrets = launching.resolved(side, self._resolve)
        environment = launching.environment(self._state.target, folder, side, secrets)
        return Launch(
            arguments=launching.arguments(side.run.command, port),
            folder=launching.artifact_folder(folder, side.artifact),
            log=self.log(wanted.id),
            environment={**environment, "PORT": str(port), launching.MARK: self.mark(wanted.id)},
        )

    def _router(self, wanted: Wanted, api_port: int) -> Launch:
        configuration = self._state.folder / "router" / f"{wanted.id}.yaml"
        routes = self.routes_file(wanted.id)
        router.write_static(configuration, routes, wanted.port, api_port, _ROUTER_GRACE_SECONDS)
        return Launch(
            arguments=router.arguments(configuration),
            folder=self._state.folder,
            log=self.log(wanted.id),
            environment={**router.environment(self._state.folder), launching.MARK: self.mark(wanted.id)},
        )

    def mark(self, process: str) -> str:
        """By which a process is known as this environment's own."""
        return f"{self._state.folder}:{process}"


def _ending(identity: ProcessIdentity | None) -> str:
    code = processes.exit_code(identity) if identity else None
    if code is None:
        return "ended while nobody looked"
    return f"ended with exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
