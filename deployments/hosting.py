"""The host of every `shipline` work pool: starts a process for each due flow run, and sees it to its end.

It runs in the control plane, which need not import Prefect for it. Flow runs arrive as they are made,
by Prefect's events, and by a look now and then for what was missed. Each process claims its flow run
before it touches it, and drops the claim when it is done, so that a claim without its process is a
flow run that was lost: Prefect is told at once, also of what an earlier host has left.
"""

import asyncio
import json
import logging
import math
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice

from delivery.adapters.processes import ProcessIdentity, alive, identify
from delivery.errors import DeliveryError
from delivery.pace import JANITOR_USUALLY
from delivery.ports import Claim, Operations
from deployments.flow_processes import until_ended
from deployments.flow_run_events import FlowRunEvent, flow_run_events
from deployments.lost_flow_runs import LostFlowRuns
from deployments.prefect_work import HEARTBEAT_SECONDS, DueFlowRun, PrefectWork
from deployments.warm_processes import FLOW_RUN_NAME, LONGEST_ORDER, WarmProcesses

_logger = logging.getLogger("shipline.host")
_AGAIN_SECONDS = 3.0
"""Before the same Scheduled state is started anew: its last process ended, or hands back, without a beginning."""
_RUNS_AT_ONCE = max(4, 2 * (os.cpu_count() or 1))
"""Per pool."""
_IN_FLIGHT_SECONDS = 1.0
_HANDED_OVER_SECONDS = 0.03
_MOST_REMEMBERED = 2000


@dataclass(slots=True)
class _Taken:
    """A flow run that has been taken up, and its process as soon as there is one."""

    due: DueFlowRun
    process: ProcessIdentity | None = None
    cancelled: bool = False


class Host:
    """Used from one event loop, but for `take_up`."""

    def __init__(
        self,
        prefect: PrefectWork,
        operations: Operations,
        changed: Callable[[], None] = lambda: None,
        look_seconds: float = JANITOR_USUALLY,
    ) -> None:
        """`changed` is called when a flow run has ended; so often it looks for what nothing told it of."""
        self._prefect = prefect
        self._operations = operations
        self._look_seconds = look_seconds
        self._lost = LostFlowRuns(prefect, operations)
        self._changed = changed
        self._warm: WarmProcesses | None = None
        self._warming: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._taken: dict[str, _Taken] = {}
        self._limits: dict[str, int | None] = {}
        self._started_at: dict[DueFlowRun, float] = {}
        self._taken_at: dict[str, float] = {}
        """Lately: events of what became due before then tell nothing new."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._left_waiting = False
        """Whether something was due that had no place, or whose last process had not ended, since the last look."""
        self._stopping = False

    def use(self, warm: WarmProcesses) -> None:
        """Fork from these processes from now on; nothing starts without any."""
        self._warm = warm
        self._warming = asyncio.create_task(self._warmed(warm))

    def take_up(self, due: DueFlowRun) -> None:
        """Start a flow run now, if there is a place for it; the next look finds what is left. From any thread."""
        self._loop.call_soon_threadsafe(self._start, due)

    async def serve(self) -> None:
        """Take up what becomes due, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._beat())
            adopted_at = -math.inf
            while True:
                if time.monotonic() - adopted_at >= self._look_seconds:
                    await self._adopt()
                    adopted_at = time.monotonic()
                await self._look()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), self._look_seconds)
                self._woken.clear()

    async def stop(self) -> None:
        """Start nothing any more, and return when every flow run that was taken up has ended and Prefect knows."""
        self._stopping = True
        if self._warming:
            self._warming.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _warmed(self, warm: WarmProcesses) -> None:
        await warm.ready.wait()
        self._woken.set()

    async def _listen(self) -> None:
        async for event in flow_run_events(self._prefect.rest):
            if event is None:
                self._woken.set()
            elif event.cancels:
                await self._cancel(event.flow_run)
            else:
                self._keep(self._look_unless_taken(event))

    async def _look_unless_taken(self, event: FlowRunEvent) -> None:
        """What the dispatcher has asked for it hands over itself, a moment after the event."""
        await asyncio.sleep(_HANDED_OVER_SECONDS)
        if event.occurred > self._taken_at.get(event.flow_run, 0.0):
            await self._look(event.flow_run)

    async def _look(self, flow_run: str | None = None) -> None:
        with _logged("asking Prefect for flow runs"):
            for due in await asyncio.to_thread(self._prefect.due, flow_run):
                self._start(due)

    async def _beat(self) -> None:
        while True:
            with _logged("telling Prefect that its worker lives"):
                self._limits = await asyncio.to_thread(self._prefect.heartbeat, f"shipline-{os.getpid()}")
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _adopt(self) -> None:
        """See to its end what nobody here has started, or could not settle; end what was cancelled unheard."""
        with _logged("looking at claimed flow runs"):
            for claim in await asyncio.to_thread(self._operations.claims):
                if claim.flow_run not in self._taken and not self._stopping:
                    due = DueFlowRun(claim.flow_run, claim.state, "")
                    self._take(_Taken(due, ProcessIdentity.read(claim.process)))
            for flow_run in await asyncio.to_thread(self._prefect.cancelled, [*self._taken]):
                await self._cancel(flow_run)
        with _logged("looking for flow runs that nobody works on"):
            await asyncio.to_thread(self._lost.mend, frozenset(self._taken))

    async def _cancel(self, flow_run: str) -> None:
        """End the process of a flow run that somebody cancels, with its steps."""
        taken = self._taken.get(flow_run)
        if taken and taken.process:
            taken.cancelled = True
            with suppress(ProcessLookupError):
                os.killpg(taken.process.pid, signal.SIGKILL)

    def _start(self, due: DueFlowRun) -> None:
        if self._stopping or self._just_started(due):
            return
        before = self._taken.get(due.flow_run)
        if before or not self._has_place(due):
            self._left_waiting = self._left_waiting or before is None or before.due != due
            return
        self._started_at[due] = time.monotonic()
        self._remember(due.flow_run)
        self._take(_Taken(due))

    def _remember(self, flow_run: str) -> None:
        self._taken_at[flow_run] = time.time()
        if len(self._taken_at) > _MOST_REMEMBERED:
            self._taken_at = dict(islice(self._taken_at.items(), _MOST_REMEMBERED // 2, None))

    def _take(self, taken: _Taken) -> None:
        self._taken[taken.due.flow_run] = taken
        self._keep(self._see_through(taken))

    def _has_place(self, due: DueFlowRun) -> bool:
        running = sum(taken.due.pool == due.pool for taken in self._taken.values())
        limit = self._limits.get(due.pool)
        places = _RUNS_AT_ONCE if limit is None else min(limit, _RUNS_AT_ONCE)
        return running < places and self._warm is not None and self._warm.ready.is_set()

    def _just_started(self, due: DueFlowRun) -> bool:
        """Whether this very state was: an answer may be late, and a process may fail before it begins."""
        since = time.monotonic() - _AGAIN_SECONDS
        self._started_at = {one: at for one, at in self._started_at.items() if at > since}
        return due in self._started_at

    async def _see_through(self, taken: _Taken) -> None:
        """One flow run from its order to the end of its process."""
        with _logged(f"flow run {taken.due.flow_run}"):
            try:
                if taken.process is None and self._warm:
                    order = await asyncio.to_thread(self._order, taken.due)
                    taken.process = identify(await self._warm.start(FLOW_RUN_NAME, order))
                if taken.process:
                    await until_ended(taken.process)
                await self._settle(taken)
            finally:
                if self._taken.get(taken.due.flow_run) is taken:
                    del self._taken[taken.due.flow_run]
                if self._left_waiting:
                    self._left_waiting = False
                    self._woken.set()
                self._changed()

    def _order(self, due: DueFlowRun) -> str:
        """With all that its process would ask Prefect for, if that is not too much for a message."""
        deployment = due.document and due.document.get("deployment_id")
        entrypoint = self._prefect.entrypoint(str(deployment)) if deployment else None
        order = json.dumps(asdict(replace(due, entrypoint=entrypoint)))
        short = len(order.encode()) < LONGEST_ORDER
        return order if short else json.dumps(asdict(replace(due, document=None, entrypoint=entrypoint)))

    async def _settle(self, taken: _Taken) -> None:
        """Tell Prefect of a flow run whose process has ended before it was done.

        Twice: what the process had asked of Prefect's server last may be granted after its death.
        """
        for claim in await asyncio.to_thread(self._left, taken.due.flow_run):
            await asyncio.to_thread(self._lost.tell, taken.due.flow_run, cancelled=taken.cancelled)
            await asyncio.sleep(_IN_FLIGHT_SECONDS)
            await asyncio.to_thread(self._lost.tell, taken.due.flow_run, cancelled=taken.cancelled)
            await asyncio.to_thread(self._operations.drop_claim, claim)

    def _left(self, flow_run: str) -> list[Claim]:
        """Claims to it whose process is no more."""
        claims = [claim for claim in self._operations.claims() if claim.flow_run == flow_run]
        return [claim for claim in claims if not alive(ProcessIdentity.read(claim.process))]

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        """Run beside the rest, and be waited for at the end."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@contextmanager
def _logged(doing: str) -> Iterator[None]:
    """Trouble with one thing is logged and stops nothing else; the next look tries again."""
    try:
        yield
    except (DeliveryError, OSError) as error:
        _logger.info("%s: %s", doing, error or type(error).__name__)
    except Exception:  # our own mistake, or an answer that is none of Prefect's: hosting goes on
        _logger.exception("%s", doing)
