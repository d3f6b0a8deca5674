"""Which processes an environment wants, from its desired state. Pure."""

from dataclasses import dataclass

from delivery.adapters.local.router import Route
from delivery.adapters.local.state import Desired, ProcessRecord, Side
from delivery.supervision import FAILED_LOOKS, Situation, Vitals, recent

_ROUTER = "router@"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One process that should run: an instance of a side, or a service's router on its stable port."""

    id: str
    service: str
    side: Side | None = None
    port: int = 0


def wanted_processes(desired: Desired) -> dict[str, Wanted]:
    """By process id. Routers come first, so that they are listening when the instances are ready."""
    routers = [
        Wanted(router_id(one, port), one, port=port) for one in desired.services for port in desired.listening(one)
    ]
    instances = [
        Wanted(f"{side.id}-{number}", side.service, side)
        for side in desired.sides
        for number in range(side.run.instances)
    ]
    return {one.id: one for one in (*routers, *instances)}


def router_id(service: str, port: int) -> str:
    """A service whose port changes gets another router; the old one goes once the new side has taken over."""
    return f"{_ROUTER}{service}-{port}"


def is_router(process: str) -> bool:
    """Whether this is a router's id, and not an instance's."""
    return process.startswith(_ROUTER)


def router_port(process: str) -> int:
    """The stable port in a router's id."""
    return int(process.rpartition("-")[2])


def routes(desired: Desired, service: str, records: dict[str, ProcessRecord]) -> tuple[Route, ...]:
    """What a service's router should serve: of each side with traffic, the instances that can take it."""
    sides = (side for side in desired.of(service) if side.percent > 0)
    return tuple(Route(side.id, side.artifact, side.percent, _usable(side, records)) for side in sides)


def _usable(side: Side, records: dict[str, ProcessRecord]) -> tuple[int, ...]:
    """Ports of what was ready once and is well; if none is well, of all: a sick answer tells more than none."""
    mine = [one for one in records.values() if one.side == side.id and one.ready and one.draining_since is None]
    well = [one for one in mine if one.failed_looks < FAILED_LOOKS]
    return tuple(sorted(one.port for one in well or mine if one.port))


def situation(record: ProcessRecord, *, drained: bool) -> Situation:
    """A record as the decision about its next step needs it."""
    return Situation(
        running=record.pid is not None,
        exits=record.exits,
        draining_since=record.draining_since,
        drained=drained,
        asked_at=record.asked_at,
        grace_seconds=record.grace_seconds,
    )


def vitals(record: ProcessRecord) -> Vitals:
    """A record as the judgement of its health needs it."""
    return Vitals(
        running=record.pid is not None,
        started_at=record.spawned_at,
        ready=record.ready,
        failed_looks=record.failed_looks,
        last_answer=record.last_answer,
        ending=record.ending,
        exits=record.exits,
        timeout_seconds=record.health_timeout_seconds,
    )


def ended(record: ProcessRecord, ending: str, now: float) -> ProcessRecord:
    """A record after its process has ended by itself, or could not be started."""
    return record.model_copy(
        update={
            "pid": None,
            "port": None,
            "ready": False,
            "failed_looks": 0,
            "exits": (*recent(record.exits, now), now),
            "restarts": record.restarts + 1,
            "ending": ending,
        }
    )


def looked_at(record: ProcessRecord, answer: str) -> ProcessRecord:
    """A record after a health check; `answer` is empty when it passed."""
    if not answer:
        return record.model_copy(update={"ready": True, "failed_looks": 0, "last_answer": ""})
    return record.model_copy(update={"failed_looks": record.failed_looks + 1, "last_answer": answer})
