"""The queue as the API shows it: who waits in which place and how long, and how long starts took lately."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from delivery.connections import Connections
from delivery.dora_metric import percentile
from delivery.ledger import utc_text
from delivery.queue import Queued, in_order

LATELY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class QueueNow:
    """What waits, in the order in which it is served, and what has a flow run."""

    waiting: tuple[Queued, ...]
    working: tuple[Queued, ...]


@dataclass(frozen=True, slots=True)
class StartsLately:
    """From request to the first line, of all that began in the last hour; None when nothing did."""

    count: int
    p50_seconds: float | None
    p95_seconds: float | None


def queue_now(connections: Connections) -> QueueNow:
    """As it stands, of all projects."""
    entries = connections.queue.entries()
    working = tuple(one for one in entries if one.flow_run)
    return QueueNow(tuple(in_order((one for one in entries if one.flow_run is None), working)), working)


def starts_lately(connections: Connections) -> StartsLately:
    """How long starts took in the last hour."""
    waits = connections.queue.waits(connections.clock.now() - LATELY)
    p50, p95 = (percentile(waits, 0.5), percentile(waits, 0.95)) if waits else (None, None)
    return StartsLately(len(waits), p50, p95)


def queue_document(connections: Connections, project: str | None = None) -> dict[str, JsonValue]:
    """What waits of a project, each in its place among all projects'; or of all."""
    now, lately, found = connections.clock.now(), starts_lately(connections), queue_now(connections)
    return {
        "waiting": [
            _waiting(place, one, now) for place, one in enumerate(found.waiting, 1) if project in {None, one.project}
        ],
        "all_waiting": len(found.waiting),
        "all_working": len(found.working),
        "started_last_hour": lately.count,
        "p50_seconds": lately.p50_seconds,
        "p95_seconds": lately.p95_seconds,
    }


def place_of(connections: Connections, subject: str) -> dict[str, JsonValue] | None:
    """Where something waits: `{place, of}`; None when it does not."""
    waiting = queue_now(connections).waiting
    place = next((place for place, one in enumerate(waiting, 1) if one.subject == subject), None)
    return {"place": place, "of": len(waiting)} if place else None


def _waiting(place: int, one: Queued, now: datetime) -> dict[str, JsonValue]:
    return {
        "place": place,
        "id": one.subject,
        "project": one.project,
        "environment": one.environment,
        "asked_at": utc_text(one.asked_at),
        "waits_seconds": round((now - one.asked_at).total_seconds(), 3),
    }
