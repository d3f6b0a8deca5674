"""Gate: what others check has passed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from delivery.gates.verdict import Verdict, moment
from delivery.promotion import Kind

_GATE = "checks"


@dataclass(frozen=True, slots=True)
class RequiredCheck:
    """A check that must have passed, and the newest result of it."""

    name: str
    subject: str
    """The option that names what it is about: `--revision 4f3a2b1c4f3a`."""
    fresh: timedelta | None = None
    """How old the result may be; None: as old as it is."""
    passed: bool | None = None
    """None when there is no result."""
    at: datetime | None = None
    summary: str = ""


def require_checks(checks: Sequence[RequiredCheck], now: datetime, kind: Kind) -> Verdict:
    """Every one has passed, lately enough. One that failed refuses; one that is missing or old is waited for.

    A rollback goes to what passed once already.
    """
    if kind is Kind.ROLLBACK:
        return Verdict(_GATE)
    failed = [one for one in checks if one.passed is False]
    if failed:
        return Verdict(_GATE, tuple(f"check '{one.name}' failed{_why(one)}" for one in failed))
    wanted = [(one, reason) for one in checks if (reason := _missing(one, now))]
    reasons = tuple(f"check '{one.name}' {reason}" for one, reason in wanted)
    return Verdict(_GATE, reasons, waiting=bool(wanted), unblocked_by=_reporting(one for one, _ in wanted))


def _why(check: RequiredCheck) -> str:
    return f": {check.summary}" if check.summary else ""


def _missing(check: RequiredCheck, now: datetime) -> str:
    if check.passed is None or check.at is None:
        return "has no result"
    if check.fresh is not None and check.at + check.fresh < now:
        return f"passed at {moment(check.at)}, more than {check.fresh.total_seconds():g} s ago"
    return ""


def _reporting(checks: Iterable[RequiredCheck]) -> str:
    """What whoever runs the checks has to type."""
    return "; ".join(f"its result: shipline check-result '{one.name}' passed {one.subject}" for one in checks)
