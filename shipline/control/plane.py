"""The control plane as its HTTP API sees it: its home, its components, its way to start flow runs."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from delivery.home import Home
from deployments.prefect_placement import PrefectPlacement
from shipline.control.component import ComponentState, State
from shipline.control.hosting import Hosting
from shipline.control.memory import memory_bytes
from shipline.control.supervision import Supervisor

_MEMORY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Memory by component, when it was looked at."""

    at: float
    bytes: dict[str, int]


@dataclass(slots=True)
class ControlPlane:
    """One running control plane."""

    home: Home
    url: str
    gateway_url: str
    flow_runs: PrefectPlacement
    hosting: Hosting
    supervisor: Supervisor
    pid: int
    opened: bool = False
    """Whether the database has this version's schema and the whole HTTP API is served."""
    message: str = ""
    """Why it is not."""
    _memory: Measured = field(default_factory=lambda: Measured(-math.inf, {}))

    @property
    def ready(self) -> bool:
        """Whether every component answers and the API is open."""
        return self.opened and self.supervisor.ready

    def components(self) -> Sequence[ComponentState]:
        """Our own process first, then those it supervises."""
        state = State.READY if self.opened else State.STARTING
        own = ComponentState("control", state, version("shipline"), self.url, self.pid, message=self.message)
        return [own, *self.supervisor.states()]

    def health(self) -> dict[str, Any]:
        """The document of `GET /api/v1/health`; memory is looked at once all are ready, and every five seconds then."""
        memory = self.memory() if self.ready else {}
        components = [{**asdict(one), "memory_bytes": memory.get(one.name)} for one in self.components()]
        return {"components": components, "ready": self.ready, "gateway": self.gateway_url}

    def memory(self) -> dict[str, int]:
        """Proportional set size in bytes by component, with what is below it; ours alone, for services are below it."""
        if time.monotonic() - self._memory.at > _MEMORY_SECONDS:
            pids = {one.name: one.pid for one in self.components() if one.pid}
            sizes = {
                name: memory_bytes(pid, below=name != "control", without=set(pids.values()))
                for name, pid in pids.items()
            }
            found = {name: size for name, size in sizes.items() if size is not None}
            self._memory = Measured(time.monotonic(), found)
        return self._memory.bytes
