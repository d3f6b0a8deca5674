"""How long steps took lately: what to expect of the next time, and which step to begin with. Pure."""

from collections.abc import Iterable, Mapping

from delivery.plan import Action, PlannedStep

_WEIGHT = 0.5
"""Of the last time against all times before."""


def expected_next(before: float | None, seconds: float) -> float:
    """Seconds that the next time will take, after one that took so many."""
    return round(seconds if before is None else before + _WEIGHT * (seconds - before), 3)


def ways_to_go(steps: Iterable[PlannedStep], expected: Mapping[str, float]) -> dict[str, float]:
    """For each step the seconds of the longest chain that begins with it: of the critical path it is the longest.

    `steps` come after what they need. What nobody remembers counts as a second, what is not executed as nothing.
    """
    found: dict[str, float] = {}
    after: dict[str, float] = {}
    for step in reversed(tuple(steps)):
        own = expected.get(step.id, 1.0) if step.action is Action.RUN else 0.0
        found[step.id] = own + after.get(step.id, 0.0)
        for needed in step.needs:
            after[needed] = max(after.get(needed, 0.0), found[step.id])
    return found
