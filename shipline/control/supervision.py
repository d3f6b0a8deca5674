"""Keeps the control plane's processes running: starts them in order, adopts them, restarts them, stops them.

Nothing well kept fits: circus starts second copies of what it finds running, supervisor cannot adopt
either and is configured by files (docs/decisions/0009-own-supervision.md).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from delivery.adapters import processes
from delivery.adapters.processes import ProcessIdentity
from delivery.errors import DeliveryError
from deployments.flow_processes import until_ended
from shipline.control.component import Component, ComponentState, State

_logger = logging.getLogger("shipline.control")
_LOOK_SECONDS = 0.05
"""Between two questions while it is not ready."""
_CHECK_SECONDS = 5.0
"""Between two questions whether a running component still answers."""
_SICK_SECONDS = 30.0
"""How long a component may run without answering before it is killed and started anew."""
_START_SECONDS = 120.0
"""What a start may take: Prefect's first migration on a slow disk."""
_STABLE_SECONDS = 60.0
"""After which a component's earlier failures are forgotten."""
_ROTATE_SECONDS = 60.0


def backoff_seconds(failures: int) -> float:
    """How long to wait before the next start, by the number of failures in a row; at once the first time."""
    return 0.0 if failures <= 1 else min(0.25 * 2 ** (failures - 2), 10.0)


class _Kept:
    """A component and what is known of its process."""

    def __init__(self, component: Component) -> None:
        self.component = component
        self.identity: ProcessIdentity | None = None
        self.state = State.WAITING
        self.message = ""
        self.restarts = 0
        self.ready = asyncio.Event()

    def move(self, state: State, message: str = "") -> None:
        self.state, self.message = state, message
        self.ready.set() if state is State.READY else self.ready.clear()


class Supervisor:
    """Runs the components of one home. Used from one event loop."""

    def __init__(
        self,
        components: Sequence[Component],
        known: Mapping[str, ProcessIdentity],
        remember: Callable[[Mapping[str, ProcessIdentity]], None],
        own_log: Path,
    ) -> None:
        """`known` are processes of an earlier control plane; `remember` is told whenever they change."""
        self._kept = {component.name: _Kept(component) for component in components}
        self._known = dict(known)
        self._remember = remember
        self._logs = (own_log, *(component.log for component in components))

    @property
    def ready(self) -> bool:
        """Whether every component is."""
        return all(kept.state is State.READY for kept in self._kept.values())

    def states(self) -> list[ComponentState]:
        """Every component as it is now, in order."""
        return [self._described(kept) for kept in self._kept.values()]

    async def until_ready(self, name: str) -> None:
        """Return once a component is ready."""
        await self._kept[name].ready.wait()

    async def run(self) -> None:
        """Keep everything running until cancelled; what runs then goes on, until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            for kept in self._kept.values():
                tasks.create_task(self._keep(kept))
            tasks.create_task(self._rotate())

    async def stop(self) -> None:
        """Stop every component, the last one first. `run` must have been cancelled before."""
        for kept in reversed(self._kept.values()):
            if kept.identity:
                await asyncio.to_thread(stop_component, kept.component, kept.identity)
            kept.identity = None
            kept.move(State.STOPPED)
            self._tell()

    async def _keep(self, kept: _Kept) -> None:
        failures = 0
        while True:
            for name in kept.component.needs:
                await self._kept[name].ready.wait()
            begun = time.monotonic()
            await self._start(kept)
            message = await self._watch(kept)
            failures = 1 if time.monotonic() - begun > _STABLE_SECONDS else failures + 1
            kept.restarts += 1
            kept.move(State.RESTARTING, message)
            await asyncio.sleep(backoff_seconds(failures))

    async def _start(self, kept: _Kept) -> None:
        kept.move(State.STARTING, kept.message)
        kept.identity = None
        starting = asyncio.create_task(asyncio.to_thread(self._begin, kept))
        try:
            await asyncio.shield(starting)
        except Exception as error:  # noqa: BLE001  # one component's trouble must not end the others
            kept.message = error.message if isinstance(error, DeliveryError) else f"{type(error).__name__}: {error}"
        except asyncio.CancelledError:
            await asyncio.wait([starting])  # what has begun is finished first, so that it can be stopped
            raise
        finally:
            self._tell()

    def _begin(self, kept: _Kept) -> None:
        """Adopt who runs already, by the component's own account or from an earlier control plane; or start one."""
        known = kept.component.running() or self._known.pop(kept.component.name, None)
        if known and processes.alive(known):
            if kept.component.adopted:
                kept.identity = known
                return
            stop_component(kept.component, known)
        for stray in kept.component.strays():
            stop_component(kept.component, stray)
        kept.identity = kept.component.spawn(kept.component.launch())

    async def _watch(self, kept: _Kept) -> str:
        """Return, with the reason, when the process has ended or had to be ended."""
        identity, seen = kept.identity, time.monotonic()
        if identity is None:
            return kept.message
        while await asyncio.to_thread(processes.alive, identity):
            if await asyncio.to_thread(_outdated, kept.component, identity):
                await asyncio.to_thread(stop_component, kept.component, identity)
                return "what it was started with has changed"
            answers = await asyncio.to_thread(_answers, kept.component)
            now = time.monotonic()
            if answers:
                seen = now
                kept.move(State.READY)
            elif kept.state is State.READY:
                kept.move(State.UNRESPONSIVE, "does not answer")
            if now - seen > (_START_SECONDS if kept.state is State.STARTING else _SICK_SECONDS):
                await asyncio.to_thread(stop_component, kept.component, identity)
                return "did not answer and was killed"
            await self._pause(identity, kept.state)
        code = processes.exit_code(identity)
        last = processes.last_lines(kept.component.log, 1)
        return ("ended" if code is None else f"ended with {code}") + (f": {last[:300]}" if last and code != 0 else "")

    async def _pause(self, identity: ProcessIdentity, state: State) -> None:
        """Until the next question whether it answers, or until it ends."""
        with suppress(TimeoutError):
            await asyncio.wait_for(until_ended(identity), _CHECK_SECONDS if state is State.READY else _LOOK_SECONDS)

    async def _rotate(self) -> None:
        """Keep every log short, our own too: whoever writes them goes on for months."""
        while True:
            for log in self._logs:
                try:
                    await asyncio.to_thread(processes.rotate, log)
                except OSError as error:
                    _logger.warning("rotating %s: %s", log, error.strerror or error)
            await asyncio.sleep(_ROTATE_SECONDS)

    def _described(self, kept: _Kept) -> ComponentState:
        component = kept.component
        return ComponentState(
            component.name,
            kept.state,
            component.version,
            component.url() if kept.identity else None,
            kept.identity.pid if kept.identity else None,
            kept.restarts,
            kept.message,
        )

    def _tell(self) -> None:
        self._remember({name: kept.identity for name, kept in self._kept.items() if kept.identity})


def _answers(component: Component) -> bool:
    try:
        return component.ready()
    except Exception:  # noqa: BLE001  # as above; what cannot be asked does not answer
        return False


def _outdated(component: Component, identity: ProcessIdentity) -> bool:
    try:
        return component.outdated(identity)
    except Exception:  # noqa: BLE001  # as above; what cannot be asked goes on
        return False


def stop_component(component: Component, identity: ProcessIdentity) -> None:
    """Ask the process to end, wait, and end what is left of its session."""
    processes.stop(identity, component.stop_grace_seconds, number=component.stop_signal, leader_only=True)
