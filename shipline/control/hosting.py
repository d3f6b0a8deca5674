"""The control plane's host of flow runs, and the socket of the warm process that it orders them from."""

import asyncio
from collections.abc import Callable
from socket import socket

from delivery.adapters.processes import Launch, ProcessIdentity, identity_of
from delivery.errors import TransientError
from delivery.home import Home
from delivery.pace import JANITOR_USUALLY
from delivery.ports import Operations
from deployments.flow_processes import end_flow_processes, flow_processes
from deployments.hosting import Host
from deployments.prefect_work import DueFlowRun, PrefectWork
from deployments.warm_processes import COMPONENT_NAME, WarmProcesses, component_order, ordering

_GRACE_SECONDS = 8.0
"""What flow runs get to stop their steps and to report."""


class Hosting:
    """Joins what comes up in any order: the warm process, which is started again when it dies, and the database."""

    def __init__(self, prefect: PrefectWork, changed: Callable[[], None]) -> None:
        """`changed` is called when a flow run has ended: there may be something to dispatch. Make it on the loop."""
        self._loop = asyncio.get_running_loop()
        self._prefect = prefect
        self._changed = changed
        self._host: Host | None = None
        self._warm: WarmProcesses | None = None
        self._inherited: socket | None = None

    def renew(self) -> int:
        """Make a socket for a new warm process: the descriptor that it inherits. From another thread."""
        return asyncio.run_coroutine_threadsafe(self._renew(), self._loop).result()

    def is_ready(self) -> bool:
        """Whether the warm process has imported everything."""
        ready = self._warm is not None and self._warm.ready.is_set()
        if ready and self._inherited:
            self._inherited.close()  # otherwise nobody would notice the other end's death
            self._inherited = None
        return ready

    def spawn(self, launch: Launch) -> ProcessIdentity:
        """Fork what a launch would import anew (`python -m MODULE ...`) from the warm process. From another thread."""
        module, *arguments = launch.arguments[launch.arguments.index("-m") + 1 :]
        asked = self._fork(component_order(launch, module, tuple(arguments)))
        try:
            pid = asyncio.run_coroutine_threadsafe(asked, self._loop).result()
        except (OSError, TimeoutError) as error:
            raise TransientError(f"forking {module} from the worker: {error}") from error
        return identity_of(pid)

    def take_up(self, due: DueFlowRun) -> None:
        """Start a flow run that was just made, as soon as there is a host. From any thread."""
        if self._host:
            self._host.take_up(due)

    async def serve(self, operations: Operations, look_seconds: float = JANITOR_USUALLY) -> None:
        """Host flow runs until cancelled."""
        self._host = Host(self._prefect, operations, self._changed, look_seconds)
        if self._warm:
            self._host.use(self._warm)
        await self._host.serve()

    async def stop(self, home: Home) -> None:
        """Start nothing any more, end every flow run of a home, and return when Prefect knows of it."""
        telling = asyncio.create_task(self._host.stop()) if self._host else None
        if self._warm:
            self._warm.close()
        await asyncio.to_thread(_end_flow_runs, home)
        if telling:
            await asyncio.wait([telling], timeout=_GRACE_SECONDS)
        await asyncio.to_thread(_end_flow_runs, home)  # one that was being forked meanwhile

    async def _fork(self, order: str) -> int:
        if self._warm is None:
            raise ConnectionAbortedError("it is not there")
        return await self._warm.start(COMPONENT_NAME, order)

    async def _renew(self) -> int:
        if self._warm:
            self._warm.close()
        self._warm, self._inherited = ordering()
        if self._host:
            self._host.use(self._warm)
        return self._inherited.fileno()


def _end_flow_runs(home: Home) -> None:
    end_flow_processes(flow_processes(home=home.root), _GRACE_SECONDS)
