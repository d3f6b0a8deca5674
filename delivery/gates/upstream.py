"""Gates: where a release was verified before, and for how long."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from delivery.artifact import Digest
from delivery.gates.verdict import Verdict, moment, short
from delivery.promotion import Kind

_UPSTREAM = "verified upstream"
_SOAKED = "soaked"


@dataclass(frozen=True, slots=True)
class Upstream:
    """How a release stands in an environment that comes before."""

    environment: str
    verified_at: datetime | None = None
    """Since when it is verified there; None when it is not."""
    on_its_way: bool = False
    """Whether a promotion of it into that environment is not done yet."""


def require_verified_upstream(
    release: Digest, upstreams: Sequence[Upstream], kind: Kind, *, one_is_enough: bool = False
) -> Verdict:
    """The release is verified in all environments before this one, or in one of them; a rollback was so already.

    What is verified in some of them and on its way in the others waits for those.
    """
    missing = [one for one in upstreams if one.verified_at is None]
    if not missing or kind is Kind.ROLLBACK or (one_is_enough and len(missing) < len(upstreams)):
        return Verdict(_UPSTREAM)
    if one_is_enough:
        return Verdict(_UPSTREAM, (f"release {short(release)} is verified in none of {_listed(missing)}",))
    reasons = tuple(f"release {short(release)} is not verified in {one.environment}" for one in missing)
    if len(missing) < len(upstreams) and all(one.on_its_way for one in missing):
        arrival = f"its promotion into {_listed(missing)} succeeds"
        return Verdict(_UPSTREAM, tuple(f"{one} yet" for one in reasons), waiting=True, unblocked_by=arrival)
    return Verdict(_UPSTREAM, reasons)


def require_soaked(
    upstreams: Sequence[Upstream], soak: timedelta, now: datetime, kind: Kind, *, one_is_enough: bool = False
) -> Verdict:
    """It has been verified upstream for so long: in all of them, or in the first of them where one is enough."""
    since = _verified_since(upstreams, one_is_enough=one_is_enough)
    if since is None or kind is Kind.ROLLBACK or since + soak <= now:
        return Verdict(_SOAKED)  # what is not verified at all is the other gate's to say
    until = since + soak
    places = _listed(one for one in upstreams if one.verified_at)
    reason = f"soaks in {places} until {moment(until)}, {soak.total_seconds():g} s from {moment(since)}"
    return Verdict(_SOAKED, (reason,), waiting=True, until=until, unblocked_by="time")


def _verified_since(upstreams: Sequence[Upstream], *, one_is_enough: bool) -> datetime | None:
    times = [one.verified_at for one in upstreams if one.verified_at is not None]
    if not times or (len(times) < len(upstreams) and not one_is_enough):
        return None
    return min(times) if one_is_enough else max(times)


def _listed(upstreams: Iterable[Upstream]) -> str:
    return ", ".join(one.environment for one in upstreams)


def require_verified_before(release: Digest, environment: str, *, verified: bool, kind: Kind) -> Verdict:
    """What a rollback goes back to ran here and was verified."""
    if kind is not Kind.ROLLBACK or verified:
        return Verdict("verified before")
    return Verdict("verified before", (f"release {short(release)} was never verified in {environment}",))
