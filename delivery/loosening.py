"""What loosens what an environment asks of a promotion: whatever then lets pass what did not pass before.

What cannot be compared loosens.
"""

from collections.abc import Sequence
from math import inf

from delivery.config_gates import Check, Condition, Freeze, Quota
from delivery.freezing import dated_span


def freezes_less(old: Sequence[Freeze], new: Sequence[Freeze]) -> bool:
    """Every window must still be there, or within another one that lets no more kinds pass."""
    return not all(any(_covers(wider, window) for wider in new) for window in old)


def _covers(wider: Freeze, window: Freeze) -> bool:
    if not {*wider.allow} <= {*window.allow}:
        return False
    if wider.begins and window.begins:
        this, that = dated_span(wider), dated_span(window)
        return this.begins <= that.begins and that.ends <= this.ends
    lasts = (wider.for_seconds or 0) >= (window.for_seconds or 0)
    return lasts and _recurring(wider) == _recurring(window)


def _recurring(window: Freeze) -> tuple[str | None, ...]:
    return (window.begins, window.cron, window.calendar, window.time_zone)


def checks_less(old: Sequence[Check], new: Sequence[Check]) -> bool:
    """Every check must still be asked for, and be as fresh as before."""
    return not all(any(_asks_as_much(one, check) for one in new) for check in old)


def _asks_as_much(one: Check, check: Check) -> bool:
    same = (one.name, one.of) == (check.name, check.of)
    return same and (check.fresh_seconds is None or (one.fresh_seconds or inf) <= check.fresh_seconds)


def takes_more(old: Quota | None, new: Quota | None) -> bool:
    """Not as few rollouts, or not in as long a time."""
    if old is None or new is None:
        return new is None
    return new.promotions > old.promotions or new.per_seconds < old.per_seconds


def demands_less(old: Sequence[Condition], new: Sequence[Condition]) -> bool:
    """Every expression must still be asked as it is: what two of them mean is not compared."""
    return not {(one.cel, one.otherwise) for one in old} <= {(one.cel, one.otherwise) for one in new}
