"""One environment made to run what it should, a look at a time.

Level-triggered: every look compares what should run with what runs, and does the next step. Nothing is lost
when a look is missed, and a supervisor that starts anew goes on from what the last one wrote.
"""

import time
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import asdict

import psutil

from delivery.adapters import processes
from delivery.adapters.local import launching, loopback, router
from delivery.adapters.local.router import Route
from delivery.adapters.local.starting import Starter
from delivery.adapters.local.state import Desired, EnvironmentState, Observation, ProcessRecord
from delivery.adapters.local.wanted import (
    Wanted,
    ended,
    is_router,
    looked_at,
    routes,
    situation,
    vitals,
    wanted_processes,
)
from delivery.errors import DeliveryError, TransientError
from delivery.supervision import Action, judge, next_action

_CALM_SECONDS = 1.0
"""Between looks at what is well."""
_TELL_AGAIN_SECONDS = 2.0
"""After which routes that the router does not serve yet are written again."""
_KEPT_LOGS = 30


class Environment:
    """The reconciler of one environment. Not thread-safe: only its health checks run on other threads."""

    def __init__(self, state: EnvironmentState, resolve: launching.Resolve, looking: Executor) -> None:
        self._state, self._looking = state, looking
        self._starter = Starter(state, resolve)
        self._written = state.observation()
        self._records = {record.id: record for record in self._written.processes}
        self._desired = Desired()
        self._desired_stamp = (0, 0)
        self._wanted: dict[str, Wanted] = {}
        self._looks: dict[str, Future[str]] = {}
        self._looked: dict[str, float] = {}
        self._served: dict[str, tuple[Route, ...]] = {}
        self._told: dict[str, tuple[tuple[Route, ...], float]] = {}
        self._answers: dict[str, Future[tuple[Route, ...]]] = {}

    @property
    def marks(self) -> set[str]:
        """The marks of processes that are known and run."""
        known = (record for record in self._records.values() if record.identity and processes.alive(record.identity))
        return {self._starter.mark(record.id) for record in known}

    def look(self) -> None:
        """Compare, do the next steps, and write down what was seen."""
        now = time.time()
        self._read_desired()
        self._notice_ends(now)
        self._collect_looks()
        self._act(now)
        self._tell_routers(now)
        self._ask(now)
        self._judge(now)
        self._write()

    def rotate_logs(self) -> None:
        """Keep every log short, and the logs of what is gone few."""
        for record in self._records.values():
            processes.rotate(self._starter.log(record.id))
        logs = sorted((self._state.folder / "logs").glob("*.log*"), key=lambda path: path.stat().st_mtime)
        old = [path for path in logs if path.name.split(".log")[0] not in self._records]
        for path in old[:-_KEPT_LOGS]:
            path.unlink(missing_ok=True)

    def _read_desired(self) -> None:
        with suppress(FileNotFoundError):
            status = (self._state.folder / "desired.json").stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._desired_stamp:
                self._desired = self._state.desired()
                self._desired_stamp = stamp
                self._wanted = wanted_processes(self._desired)

    def _notice_ends(self, now: float) -> None:
        for record in list(self._records.values()):
            if record.identity is None or processes.alive(record.identity):
                continue
            side = next((side for side in self._desired.sides if side.id == record.side), None)
            ending = self._starter.ending(record, side)
            processes.kill(record.identity)  # what it left behind would hold its port and its data
            self._records[record.id] = ended(record, ending, now)
            self._served.pop(record.id, None)

    def _act(self, now: float) -> None:
        for name in [*self._wanted, *(set(self._records) - set(self._wanted))]:
            wanted = self._wanted.get(name)
            record = self._records.get(name) or self._starter.record(self._wanted[name])
            facts = situation(record, drained=self._drained(record))
            action = next_action(facts, wanted=wanted is not None, now=now)
            if action:
                self._do(action, record, wanted, now)

    def _do(self, action: Action, record: ProcessRecord, wanted: Wanted | None, now: float) -> None:
        identity = record.identity
        if action is Action.START and wanted:
            self._start(record, wanted, now)
        elif action is Action.FORGET:
            self._forget(record.id)
        elif action is Action.DRAIN:
            self._records[record.id] = record.model_copy(update={"draining_since": now})
        elif action is Action.ASK and identity:
            processes.ask(identity)
            self._records[record.id] = record.model_copy(update={"asked_at": now})
        elif action is Action.KILL and identity:
            processes.kill(identity)

    def _start(self, record: ProcessRecord, wanted: Wanted, now: float) -> None:
        taken = {one.port for one in self._records.values() if one.port} | self._desired.taken
        try:
            if is_router(wanted.id):
                self._told.pop(wanted.id, None)
                self._tell(wanted, now)
            identity, port = self._starter.start(wanted, taken)
        except DeliveryError as error:
            self._records[record.id] = ended(record, error.message, now)
            return
        started = {**asdict(identity), "port": port, "spawned_at": now}
        fresh = {"ready": False, "failed_looks": 0, "last_answer": "no health check yet"}
        self._records[record.id] = record.model_copy(update={**started, **fresh})
        self._write()  # at once: whoever takes over must know of it

    def _forget(self, process: str) -> None:
        del self._records[process]
        for memory in (self._looks, self._looked, self._served, self._told, self._answers):
            memory.pop(process, None)

    def _drained(self, record: ProcessRecord) -> bool:
        """Whether no router sends it requests and none of its answers is still on its way."""
        if record.draining_since is None or is_router(record.id):
            return True
        routers = [one for one in self._records.values() if one.service == record.service and is_router(one.id)]
        for one in routers:
            routed = {port for route in self._served.get(one.id, ()) for port in route.ports}
            if one.pid is not None and (record.port in routed or record.port in _connected(one.pid)):
                return False
        return True

    def _tell_routers(self, now: float) -> None:
        for wanted in self._wanted.values():
            if wanted.side is None:
                self._tell(wanted, now)

    def _tell(self, wanted: Wanted, now: float) -> None:
        should = routes(self._desired, wanted.service, self._records)
        told, at = self._told.get(wanted.id, (None, 0.0))
        served = self._served.get(wanted.id)
        late = served != should and now - at >= _TELL_AGAIN_SECONDS
        if told != should or late:
            router.write_routes(self._starter.routes_file(wanted.id), should)
            self._told[wanted.id] = (should, now)

    def _ask(self, now: float) -> None:
        for record in self._records.values():
            if record.pid is None or not record.port or now - self._looked.get(record.id, 0.0) < self._pause(record):
                continue
            if is_router(record.id):
                if record.id not in self._answers:
                    self._looked[record.id] = now
                    self._answers[record.id] = self._looking.submit(router.served, record.port)
            elif record.id in self._wanted and record.id not in self._looks:
                side = self._wanted[record.id].side
                self._looked[record.id] = now
                path = side.run.health.path if side else "/"
                self._looks[record.id] = self._looking.submit(loopback.health, record.port, path)

    def _pause(self, record: ProcessRecord) -> float:
        if is_router(record.id):
            told, _ = self._told.get(record.id, ((), 0.0))
            return _CALM_SECONDS if self._served.get(record.id) == told else 0.0
        wanted = self._wanted.get(record.id)
        interval = wanted.side.run.health.interval_seconds if wanted and wanted.side else _CALM_SECONDS
        return max(interval, _CALM_SECONDS) if record.ready and not record.failed_looks else interval

    def _collect_looks(self) -> None:
        for name, look in [(name, look) for name, look in self._looks.items() if look.done()]:
            del self._looks[name]
            record = self._records.get(name)
            if record and record.pid is not None:
                self._records[name] = looked_at(record, look.result())
        for name, answer in [(name, answer) for name, answer in self._answers.items() if answer.done()]:
            del self._answers[name]
            self._hear(name, answer)

    def _hear(self, name: str, answer: "Future[tuple[Route, ...]]") -> None:
        record = self._records.get(name)
        if record is None or record.pid is None:
            return
        try:
            self._served[name] = answer.result()
            self._records[name] = looked_at(record, "")
        except TransientError as error:
            self._records[name] = looked_at(record, error.message)

    def _judge(self, now: float) -> None:
        for record in list(self._records.values()):
            health, message = judge(vitals(record), now)
            if (health, message) != (record.health, record.message):
                self._records[record.id] = record.model_copy(update={"health": health, "message": message})

    def _write(self) -> None:
        observation = Observation(generation=self._desired.generation, processes=tuple(self._records.values()))
        if observation != self._written:
            self._state.write_observation(observation)
            self._written = observation


def _connected(pid: int) -> set[int]:
    """Ports that a process has open connections to."""
    with suppress(psutil.Error):
        connections = psutil.Process(pid).net_connections("tcp")
        return {one.raddr.port for one in connections if one.raddr and one.status == psutil.CONN_ESTABLISHED}
    return set()
