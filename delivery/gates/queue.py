"""Gate: first in, first out."""

from collections.abc import Sequence

from delivery.gates.verdict import Verdict
from delivery.promotion import FORWARD, Kind


def require_turn(earlier: Sequence[str], kind: Kind) -> Verdict:
    """Where each release goes one by one, what was requested before has ended; a hotfix overtakes.

    `earlier` are the promotions of something new that were requested before and are not done yet, oldest first; none
    where the environment's queue is another one.
    """
    if not earlier or kind not in FORWARD or kind is Kind.HOTFIX:
        return Verdict("queue")
    more = f" and {len(earlier) - 1} more" if len(earlier) > 1 else ""
    reason = f"promotion {earlier[0]}{more} was requested first"
    return Verdict("queue", (reason,), waiting=True, unblocked_by="what was requested first ends; a hotfix overtakes")
