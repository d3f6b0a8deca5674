"""Gates: where a release was verified before."""

from delivery.artifact import Digest
from delivery.gates.verdict import Verdict, short
from delivery.promotion import Kind


def require_verified_upstream(release: Digest, upstream: str | None, *, verified: bool, kind: Kind) -> Verdict:
    """The release is verified in the environment before this one; a rollback was so once already."""
    if upstream is None or verified or kind is Kind.ROLLBACK:
        return Verdict("verified upstream")
    return Verdict("verified upstream", (f"release {short(release)} is not verified in {upstream}",))


def require_verified_before(release: Digest, environment: str, *, verified: bool, kind: Kind) -> Verdict:
    """What a rollback goes back to ran here and was verified."""
    if kind is not Kind.ROLLBACK or verified:
        return Verdict("verified before")
    return Verdict("verified before", (f"release {short(release)} was never verified in {environment}",))
