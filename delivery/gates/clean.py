"""Gates: what a release is made of."""

from collections.abc import Sequence

from delivery.actor import Actor
from delivery.artifact import Digest
from delivery.gates.verdict import Verdict, short


def require_clean(tier: str, *, dirty: bool) -> Verdict:
    """What was made from uncommitted changes stays in development environments."""
    if not dirty or tier == "development":
        return Verdict("clean")
    return Verdict("clean", ("made from uncommitted changes, which may reach development environments only",))


def require_not_bad(bad: Sequence[Digest], requester: Actor) -> Verdict:
    """No automation promotes what is marked bad; a person may insist."""
    if not bad or requester.kind != "automation":
        return Verdict("not bad")
    return Verdict("not bad", tuple(f"{short(digest)} is marked bad" for digest in bad))
