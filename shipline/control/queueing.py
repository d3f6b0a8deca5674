"""Queueing: what is to be taken up by a flow run gets its entry, once for each place where it stands."""

from datetime import datetime

from delivery.connections import Connections
from delivery.ledger import utc_text
from delivery.promoting.accepting import policies_in_force
from delivery.promotion import Promotion
from delivery.queue import Priority, Queued, priority_of
from delivery.run import Run


def queue_run(connections: Connections, run: Run, at: datetime) -> Queued:
    """A run waits from then on; every attempt is an entry of its own."""
    queued = Queued(run.id, standing_of_run(run), run.project, Priority.RUN, at)
    connections.queue.put(queued)
    return queued


def queue_promotion(connections: Connections, promotion: Promotion) -> Queued:
    """A promotion whose turn it is waits from now on; every step that it makes leads to another entry."""
    tiers = {one.environment: one.terms.tier for one in policies_in_force(connections, promotion.project)}
    queued = Queued(
        promotion.id,
        standing_of(promotion),
        promotion.project,
        priority_of(tiers.get(promotion.environment, "production")),
        connections.clock.now(),
        promotion.environment,
    )
    connections.queue.put(queued)
    return queued


def standing_of(promotion: Promotion) -> str:
    """Where a promotion stands, as of when."""
    return f"{promotion.phase}/{utc_text(promotion.moved_at or promotion.requested_at)}"


def standing_of_run(run: Run) -> str:
    """Which attempt of a run it is."""
    return f"attempt {run.attempt}"
