"""What a local environment runs, by looking: at the processes, and at what the routers say of themselves."""

from collections.abc import Mapping

from delivery.adapters import processes
from delivery.adapters.local.router import Route, served
from delivery.adapters.local.state import Desired, Observation, ProcessRecord
from delivery.adapters.local.wanted import is_router, router_id
from delivery.artifact import Digest
from delivery.errors import TransientError
from delivery.rollout import HealthState, Instance, Observed, Target


def observe(target: Target, desired: Desired, seen: Observation, *, watched: bool) -> Observed:
    """Put together what runs. `watched`: whether a supervisor is looking; if not, nobody knows how healthy it is."""
    routes = {service: routes_of(seen, service, desired.port(service)) for service in desired.services}
    serving = {route.side for found in routes.values() for route in found if route.percent > 0}
    return Observed(
        target=target,
        generation=desired.generation,
        fence=desired.fence,
        candidate=desired.candidate,
        release=desired.release,
        weights={service: _weights(desired, service, found) for service, found in routes.items()},
        instances=tuple(
            instance(record, watched=watched, serves=record.side in serving)
            for record in seen.processes
            if not is_router(record.id) and record.artifact and record.release
        ),
        addresses={service: f"http://127.0.0.1:{desired.port(service)}" for service in desired.services},
    )


def instance(record: ProcessRecord, *, watched: bool, serves: bool) -> Instance:
    """One instance; dead ones are dead whatever the record says."""
    lives = record.identity is not None and processes.alive(record.identity)
    health, message = record.health, record.message
    if not lives:
        health, message = HealthState.DOWN, record.message or "not running"
    elif not watched:
        health, message = HealthState.UNKNOWN, "no supervisor is looking at it"
    return Instance(
        id=record.id,
        service=record.service,
        artifact=record.artifact or Digest(""),
        release=record.release or Digest(""),
        health=health,
        port=record.port,
        process_id=record.pid if lives else None,
        restarts=record.restarts,
        message=message,
        serves=serves,
    )


def serves(desired: Desired, service: str, routes: tuple[Route, ...]) -> bool:
    """Whether a service's router serves the shares that it should."""
    should = {side.id: side.percent for side in desired.of(service) if side.percent > 0}
    return {route.side: route.percent for route in routes} == should


def routes_of(seen: Observation, service: str, port: int) -> tuple[Route, ...]:
    """What a service's router on a port says that it serves; nothing when it does not answer."""
    for record in seen.processes:
        if record.id == router_id(service, port) and record.port and record.draining_since is None:
            try:
                return served(record.port)
            except TransientError:
                return ()
    return ()


def _weights(desired: Desired, service: str, routes: tuple[Route, ...]) -> Mapping[Digest, int]:
    weights = {side.artifact: 0 for side in desired.of(service)}
    for route in routes:
        weights[route.artifact] = weights.get(route.artifact, 0) + route.percent
    return weights
