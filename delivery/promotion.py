"""Promotions: moving a release into an environment; their phases and which may follow which."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from delivery.actor import Actor
from delivery.artifact import Digest


class Phase(StrEnum):
    """Where a promotion stands."""

    REQUESTED = "Requested"
    QUEUED = "Queued"
    JUDGING = "Judging"
    WAITING = "Waiting"
    ROLLING_OUT = "RollingOut"
    VERIFYING = "Verifying"
    ROLLING_BACK = "RollingBack"
    SUCCEEDED = "Succeeded"
    REFUSED = "Refused"
    SUPERSEDED = "Superseded"
    ABORTED = "Aborted"
    FAILED = "Failed"
    ERRORED = "Errored"

    @property
    def final(self) -> bool:
        """Whether nothing follows (an Errored promotion may still be retried)."""
        return self in FINAL


FINAL = frozenset({Phase.SUCCEEDED, Phase.REFUSED, Phase.SUPERSEDED, Phase.ABORTED, Phase.FAILED, Phase.ERRORED})
UNDER_WAY = frozenset({Phase.JUDGING, Phase.ROLLING_OUT, Phase.VERIFYING, Phase.ROLLING_BACK})
BEFORE_ROLLOUT = frozenset({Phase.REQUESTED, Phase.QUEUED, Phase.JUDGING, Phase.WAITING})

_FOLLOWS: dict[Phase, frozenset[Phase]] = {
    Phase.REQUESTED: frozenset({Phase.QUEUED, Phase.JUDGING}),
    Phase.QUEUED: frozenset({Phase.JUDGING}),
    Phase.JUDGING: frozenset({Phase.QUEUED, Phase.WAITING, Phase.ROLLING_OUT}),
    Phase.WAITING: frozenset({Phase.QUEUED, Phase.JUDGING, Phase.ROLLING_OUT}),
    Phase.ROLLING_OUT: frozenset({Phase.WAITING, Phase.VERIFYING, Phase.ROLLING_BACK, Phase.FAILED}),
    Phase.VERIFYING: frozenset({Phase.SUCCEEDED, Phase.ROLLING_BACK, Phase.FAILED}),
    Phase.ROLLING_BACK: frozenset({Phase.FAILED}),
    Phase.ERRORED: frozenset({Phase.REQUESTED, Phase.ROLLING_OUT, Phase.ROLLING_BACK}),
}


def may_follow(now: Phase, then: Phase) -> bool:
    """Whether a promotion may move from one phase to another; staying is always allowed."""
    if now is then or (then is Phase.ERRORED and not now.final):
        return True
    if now in BEFORE_ROLLOUT and then in {Phase.REFUSED, Phase.SUPERSEDED, Phase.ABORTED}:
        return True
    return then in _FOLLOWS.get(now, frozenset())


class Kind(StrEnum):
    """Why a promotion exists."""

    CHANGE = "change"
    ROLLBACK = "rollback"
    HOTFIX = "hotfix"
    """A change that nobody had planned: it answers something that hurts users."""
    CONFIG = "config"
    """A change that turned out to change nothing but how services run."""
    REDEPLOY = "redeploy"
    """The same candidate applied again."""


FORWARD = frozenset({Kind.CHANGE, Kind.HOTFIX, Kind.CONFIG})
"""What brings something newer: it supersedes older requests, and goes on downstream."""


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """What a promotion changes about one service, fixed when its rollout begins."""

    service: str
    artifact: Digest
    definition: Digest
    run: Digest
    """Of the definition with the environment's configuration merged in."""
    revision: str
    previous: str | None = None
    """Deployment id (promotion/service) of what was live."""
    previous_artifact: Digest | None = None
    previous_revision: str | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion as the projections show it: what was asked for, and where it stands now."""

    id: str
    project: str
    environment: str
    kind: Kind
    phase: Phase
    because: str
    """Why it stands where it stands, in one sentence."""
    release: Digest
    candidate: Digest
    configuration: Digest
    policy_version: int
    configuration_revision: str
    """Commit whose `shipline.yaml` gives the configuration."""
    requested_at: datetime
    requested_by: Actor
    sequence: int
    """Of the request in the project's stream: the order in the lane."""
    passes: int = 0
    """How many times the approval form was shown; part of its key."""
    waiting_since: datetime | None = None
    """When it began to wait, the last time."""
    reminders: int = 0
    """How often people were told again that it waits for them."""
    moved_at: datetime | None = None
    """When it last got any further."""
    run: str | None = None
    """The run that asked for it."""
    group: str = "default"
    started_at: datetime | None = None
    exposed_at: datetime | None = None
    live_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    """When a waiting approval runs out."""
    rollback_of: str | None = None
    """The promotion that this one undoes."""
    rolled_back_by: str | None = None
    caused_by_incident: str | None = None
    previous_release: Digest | None = None
    """What ran before, once the rollout began."""
    replace: bool = False
    """Whether an unrelated or older line of history may be replaced."""
    changes: tuple[ServiceChange, ...] = ()
    """Once its rollout began: the services it changes."""
    gone: tuple[str, ...] = ()
    """Services that ran before and are no longer part of the release."""
    abort_requested: str | None = None
    """Why somebody asked to stop it."""
    flow_run: str | None = None
    """The Prefect flow run that waits with the approval form."""

    @property
    def lane(self) -> str:
        """The name of its lane's lease."""
        return lane_name(self.project, self.environment, self.group)


def lane_name(project: str, environment: str, group: str = "default") -> str:
    """The name of a lane's lease."""
    return f"lane:{project}/{environment}/{group}"


def standing(succeeded: Iterable[Promotion]) -> list[Promotion]:
    """What stands of an environment's promotions that succeeded, oldest first: what was rolled back does not.

    A rollback goes back to the promotion that brought its candidate; one to something new (a release derived for one
    service) takes the place of what it undid.
    """
    found: list[Promotion] = []
    seen: set[Digest] = set()
    for one in sorted(succeeded, key=lambda one: (one.live_at or one.requested_at, one.sequence)):
        place = max((place for place, other in enumerate(found) if other.candidate == one.candidate), default=None)
        if one.kind is Kind.ROLLBACK and place is not None:
            del found[place + 1 :]
        elif place is None or place + 1 < len(found):
            if one.kind is Kind.ROLLBACK and one.candidate not in seen:
                del found[-1:]
            found.append(one)
        seen.add(one.candidate)
    return found


def next_in_lane(promotions: Sequence[Promotion]) -> Promotion | None:
    """Which of a lane's promotions should be worked on now, if any.

    One at a time: a promotion under way keeps the lane (taking it up again is what a crash needs), a
    rollback comes before the promotion that it undoes, the rest goes in order of request. Waiting ones hold nothing.
    """
    holder = holder_of_lane(promotions)
    if holder:
        return None if holder.phase is Phase.WAITING else holder
    queued = [one for one in promotions if one.phase in {Phase.REQUESTED, Phase.QUEUED}]
    return min(queued, key=lambda one: one.sequence, default=None)


def holder_of_lane(promotions: Sequence[Promotion]) -> Promotion | None:
    """The promotion under way, or the rollback that undoes it (which may be undone itself); None when none is."""
    unfinished = {one.id: one for one in promotions if not one.phase.final}
    under_way = (one for one in promotions if one.phase in UNDER_WAY)
    holder = min(under_way, key=lambda one: one.sequence, default=None)
    while holder and holder.phase is Phase.ROLLING_BACK and holder.rolled_back_by in unfinished:
        holder = unfinished[holder.rolled_back_by]
    return holder


def has_turn(promotion: Promotion, promotions: Sequence[Promotion]) -> bool:
    """Whether a promotion of a lane may be worked on now; a waiting one may look again when the lane is free."""
    holder = holder_of_lane(promotions)
    if holder is None and promotion.phase is Phase.WAITING:
        return True
    turn = holder or next_in_lane(promotions)
    return turn is not None and turn.id == promotion.id
