"""A turn: the right to work on one promotion, taken with its lane's lease, and what it may write."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter

from delivery.actor import SHIPLINE, Actor
from delivery.connections import Connections
from delivery.errors import NotFoundError, StaleFenceError
from delivery.ledger import Draft, utc_text
from delivery.ports import Guard, Lease
from delivery.promotion import FINAL, Phase, Promotion, has_turn, may_follow
from delivery.rollout import Handle

_PROMOTION: TypeAdapter[Promotion] = TypeAdapter(Promotion)


def read_promotion(connections: Connections, promotion: str) -> Promotion:
    """A promotion as the projections have it; NotFoundError when there is none."""
    rows = connections.ledger.rows("promotions", id=promotion)
    if not rows:
        raise NotFoundError(f"no promotion '{promotion}'", hint="shipline history lists promotions")
    return _PROMOTION.validate_python(rows[0])


def read_promotions(
    connections: Connections,
    order: str = "sequence",
    limit: int | None = None,
    **equal: Any,  # noqa: ANN401  # handed on to Ledger.rows, which says what they may be
) -> list[Promotion]:
    """Promotions whose fields equal what is given, in order of request."""
    rows = connections.ledger.rows("promotions", order=order, limit=limit, **equal)
    return [_PROMOTION.validate_python(row) for row in rows]


def log_of(connections: Connections, promotion: str) -> Path:
    """Where a promotion's lines are kept."""
    return connections.home.run_logs(promotion) / "promotion.log"


@dataclass(frozen=True, slots=True)
class Turn:
    """A promotion, the lease that lets this process work on it, and the ports to work with."""

    connections: Connections
    promotion: Promotion
    lease: Lease
    handle: Handle | None = None
    """The rollout under way, when this very turn began it."""

    @property
    def fence(self) -> int:
        """What effects on the target are fenced with."""
        return self.lease.fence

    @property
    def log(self) -> Path:
        """Where this promotion's lines are kept."""
        return log_of(self.connections, self.promotion.id)

    def again(self) -> "Turn":
        """The same turn with the promotion read anew."""
        return replace(self, promotion=read_promotion(self.connections, self.promotion.id))

    def write(self, *drafts: Draft) -> "Turn":
        """Append under the lease; StaleFenceError when it is lost, or somebody has moved the promotion meanwhile."""
        guard = Guard(lease=self.lease, promotion=self.promotion.id, phases=(self.promotion.phase.value,))
        self.connections.ledger.append(self.promotion.project, drafts, guard)
        return self.again()

    def draft(
        self, kind: str, body: Mapping[str, JsonValue], *, once: str | None = None, actor: Actor = SHIPLINE
    ) -> Draft:
        """A fact about this promotion; `once` names it so that a second pass does not tell it twice."""
        key = f"{self.promotion.id}/{once}" if once else None
        return Draft(kind, body, actor, self.connections.clock.now(), key)

    def moved(self, phase: Phase, because: str, **fields: JsonValue) -> Draft:
        """The promotion goes on to a phase; StaleFenceError when it may not from where it stands."""
        if not may_follow(self.promotion.phase, phase):
            message = f"promotion {self.promotion.id}: {self.promotion.phase} cannot become {phase}"
            raise StaleFenceError(message, hint="somebody else has moved it on since")
        body = {"id": self.promotion.id, "phase": phase.value, "because": because, **self._times(phase), **fields}
        return self.draft("promotion.moved", body)

    def _times(self, phase: Phase) -> dict[str, JsonValue]:
        """What is told of when; a promotion that is asked about again has waited since it was asked about first."""
        if phase.final:
            return {"finished_at": utc_now(self.connections)}
        if phase is not Phase.WAITING:
            return {}
        since = self.promotion.waiting_since if self.promotion.phase is Phase.WAITING else None
        return {"waiting_since": utc_text(since) if since else utc_now(self.connections)}

    def leave(self) -> None:
        """Let the next one have the lane."""
        self.connections.operations.release(self.lease)


def utc_now(connections: Connections) -> str:
    """The time as entries write it."""
    return utc_text(connections.clock.now())


def take_turn(connections: Connections, promotion: str) -> Turn | None:
    """Take the lane's lease for a promotion; None when it is another one's turn or the promotion is done."""
    found = read_promotion(connections, promotion)
    if found.phase.final:
        return None
    holder = f"{promotion}/{uuid.uuid4().hex}"
    lease = connections.operations.acquire(found.lane, holder, connections.pace.lease)
    if lease is None:
        return None
    turn = Turn(connections, found, lease).again()
    if turn.promotion.phase.final or not has_turn(turn.promotion, unfinished_in_lane(connections, found)):
        turn.leave()
        return None
    connections.queue.begin(promotion, connections.clock.now())
    return turn


def unfinished_in_lane(connections: Connections, promotion: Promotion) -> list[Promotion]:
    """Every promotion of its lane that is not final, in order of request."""
    phases = [phase.value for phase in Phase if phase not in FINAL]
    found = read_promotions(connections, project=promotion.project, environment=promotion.environment, phase=phases)
    return [one for one in found if one.lane == promotion.lane]
