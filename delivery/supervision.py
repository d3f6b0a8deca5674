"""Supervision: what to do next with each process, and how well it is. Pure, over what was seen.

Times are seconds of any one clock.
"""

from dataclasses import dataclass
from enum import StrEnum

from delivery.rollout import HealthState

CRASH_LOOP_EXITS = 3
"""So many ends by itself within the window are a crash loop."""
CRASH_LOOP_WINDOW_SECONDS = 60.0
FAILED_LOOKS = 3
"""So many failed health checks in a row make an instance that was healthy degraded."""
_FIRST_DELAY_SECONDS = 0.2
_LONGEST_DELAY_SECONDS = 30.0


class Action(StrEnum):
    """The next step with one process."""

    START = "start"
    DRAIN = "drain"
    """Take it out of use; it may finish what it has."""
    ASK = "ask"
    """Tell it to end (SIGTERM)."""
    KILL = "kill"
    FORGET = "forget"
    """It is gone and nobody wants it back."""


@dataclass(frozen=True, slots=True)
class Situation:
    """One process as known now."""

    running: bool
    exits: tuple[float, ...] = ()
    """When it ended by itself, or could not be started, lately."""
    draining_since: float | None = None
    drained: bool = False
    """Whether nobody uses it any more."""
    asked_at: float | None = None
    grace_seconds: float = 10.0


def next_action(situation: Situation, *, wanted: bool, now: float) -> Action | None:
    """What to do, or None to wait. A process that is being stopped is stopped, also when it is wanted again."""
    stopping = situation.draining_since is not None
    if wanted and not stopping:
        return Action.START if not situation.running and now >= start_again_at(situation.exits) else None
    if not situation.running:
        return Action.FORGET
    return _next_stop(situation, now)


def _next_stop(situation: Situation, now: float) -> Action | None:
    if situation.draining_since is None:
        return Action.DRAIN
    if situation.asked_at is None:
        waited = now - situation.draining_since >= situation.grace_seconds
        return Action.ASK if situation.drained or waited else None
    return Action.KILL if now - situation.asked_at >= situation.grace_seconds else None


def start_again_at(exits: tuple[float, ...]) -> float:
    """The earliest time of the next start: each end doubles the pause, up to half a minute."""
    if not exits:
        return 0.0
    return exits[-1] + min(_FIRST_DELAY_SECONDS * 2.0 ** (len(exits) - 1), _LONGEST_DELAY_SECONDS)


def recent(exits: tuple[float, ...], now: float) -> tuple[float, ...]:
    """The ends that still count."""
    return tuple(at for at in exits if now - at < CRASH_LOOP_WINDOW_SECONDS)


def crash_loops(exits: tuple[float, ...], now: float) -> bool:
    """Whether it ends again and again."""
    return len(recent(exits, now)) >= CRASH_LOOP_EXITS


@dataclass(frozen=True, slots=True)
class Vitals:
    """What health is judged by."""

    running: bool
    started_at: float
    ready: bool
    """Whether a health check has passed since this start."""
    failed_looks: int
    """Failed health checks in a row."""
    last_answer: str
    """What the last health check got; for people."""
    ending: str
    """How it ended, when it is not running; for people."""
    exits: tuple[float, ...]
    timeout_seconds: float


def judge(vitals: Vitals, now: float) -> tuple[HealthState, str]:
    """How well an instance is, and why it is not."""
    often = _often(vitals.exits, now)
    if not vitals.running:
        return HealthState.DOWN, f"{often or 'not running'}: {vitals.ending}" if vitals.ending else "not started yet"
    if vitals.ready:
        return _judge_ready(vitals, often)
    if often:
        return HealthState.DOWN, f"{often}: {vitals.ending}"
    if overdue(vitals, now):
        return HealthState.DEGRADED, f"not healthy {vitals.timeout_seconds:g} s after its start: {vitals.last_answer}"
    return HealthState.PROGRESSING, vitals.last_answer


def overdue(vitals: Vitals, now: float) -> bool:
    """Whether the time for the first healthy answer is over; never before it was looked for."""
    late = now - vitals.started_at >= vitals.timeout_seconds
    return vitals.running and not vitals.ready and vitals.failed_looks > 0 and late


def _judge_ready(vitals: Vitals, often: str) -> tuple[HealthState, str]:
    if vitals.failed_looks >= FAILED_LOOKS:
        return HealthState.DEGRADED, f"health check failed {vitals.failed_looks} times: {vitals.last_answer}"
    if often:
        return HealthState.DEGRADED, f"{often}: {vitals.ending}"
    return HealthState.HEALTHY, ""


def _often(exits: tuple[float, ...], now: float) -> str:
    if not crash_loops(exits, now):
        return ""
    return f"crash loop, ended {len(recent(exits, now))} times within {CRASH_LOOP_WINDOW_SECONDS:g} s"
