"""Moments: every boundary between two steps that shows outside, and times in between that a die chooses."""

import random
from dataclasses import dataclass

LONGEST_SECONDS = 6.0
"""Of a time that a die chooses: by then most of a round is done."""
_PLAIN = (
    *("run requested", "run taken up", "step started", "step ended", "artifact built", "release created"),
    *("promotion requested", "judging", "rolling out", "deployment started", "apply intended", "apply observed"),
    *("shift intended", "shift observed", "verifying", "retire intended", "retire observed", "verified"),
)
_GATED = ("waiting", "form shown", "approval given", "judging again")
_UNDONE = (
    *("incident opened", "rollback requested", "rollback: judging", "rollback: apply intended"),
    *("rollback: apply observed", "rollback: shift intended", "rollback: verified", "failed"),
)


@dataclass(frozen=True, slots=True)
class Moment:
    """When to kill: as soon as something has happened in a project, or so many seconds after the first request."""

    name: str
    project: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.name} ({self.project})" if self.project else f"{self.name} time"


BOUNDARIES = (
    *(Moment(name, "plain") for name in _PLAIN),
    *(Moment(name, "gated") for name in _GATED),
    *(Moment(name, "undone") for name in _UNDONE),
)


def random_time(dice: random.Random) -> Moment:
    """Some time while a round goes on."""
    return Moment("random", seconds=dice.uniform(0.0, LONGEST_SECONDS))
