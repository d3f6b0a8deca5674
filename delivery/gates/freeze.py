"""Gate: no freeze window holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from delivery.actor import Actor
from delivery.gates.verdict import Verdict, moment
from delivery.promotion import Kind

_GATE = "not frozen"


@dataclass(frozen=True, slots=True)
class Frozen:
    """A window that holds at this moment, or of which nobody can say whether it does."""

    name: str
    ends: datetime | None = None
    allow: frozenset[str] = frozenset()
    """Kinds of promotions that pass."""
    summary: str = ""
    """What a calendar calls it."""
    problem: str = ""
    """Why nobody can say: then it holds, until somebody mends it."""
    passing: bool = False
    """Whether the problem may be gone when somebody looks again."""


def require_not_frozen(windows: Sequence[Frozen], requester: Actor, kind: Kind) -> Verdict:
    """No window holds that does not let this kind pass; the way back of a failed rollout always passes.

    A window that cannot be read refuses: to promote anyway would be to guess.
    """
    holding = [one for one in windows if kind.value not in one.allow]
    if not holding or (kind is Kind.ROLLBACK and requester.kind == "automation"):
        return Verdict(_GATE)
    unreadable = [one for one in holding if one.problem and not one.passing]
    if unreadable:
        return Verdict(_GATE, tuple(f"freeze '{one.name}': {one.problem}" for one in unreadable))
    ends = [one.ends for one in holding if one.ends is not None]
    until = max(ends) if len(ends) == len(holding) else None
    return Verdict(_GATE, tuple(_reason(one) for one in holding), waiting=True, until=until, unblocked_by=_who(holding))


def _reason(window: Frozen) -> str:
    if window.problem or window.ends is None:
        return f"freeze '{window.name}': {window.problem}"
    named = f" ({window.summary})" if window.summary else ""
    return f"frozen by '{window.name}'{named} until {moment(window.ends)}"


def _who(windows: Sequence[Frozen]) -> str:
    """Time, or somebody who asks for one of the kinds that every window lets pass."""
    passes = sorted(frozenset.intersection(*(one.allow for one in windows)))
    return f"time; a {' or '.join(passes)} passes" if passes else "time"
