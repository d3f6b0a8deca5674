"""Gate: not more rollouts than the environment takes in a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from delivery.gates.verdict import Verdict, moment
from delivery.promotion import Kind

UNCOUNTED = frozenset({Kind.ROLLBACK, Kind.HOTFIX})
"""What brings users back to what is well is not held up, and uses nothing up."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many rollouts may begin within a time."""

    promotions: int
    within: timedelta


def require_quota(
    environment: str, begun: Sequence[datetime], allowance: Allowance | None, now: datetime, kind: Kind
) -> Verdict:
    """Fewer rollouts have begun lately than are allowed; `begun` are the counted ones' times, in any order."""
    if allowance is None or kind in UNCOUNTED:
        return Verdict("quota")
    lately = sorted((one for one in begun if one + allowance.within > now), reverse=True)
    if len(lately) < allowance.promotions:
        return Verdict("quota")
    until = lately[allowance.promotions - 1] + allowance.within
    most = f"{allowance.promotions} in {allowance.within.total_seconds():g} s"
    reason = f"{len(lately)} rollouts began in {environment} lately, at most {most}; the next may at {moment(until)}"
    return Verdict("quota", (reason,), waiting=True, until=until, unblocked_by="time; a hotfix or rollback passes")
