"""Gate: nothing is wrong in the environment."""

from collections.abc import Sequence

from delivery.actor import Actor
from delivery.gates.verdict import Verdict
from delivery.promotion import Kind

_PASS = frozenset({Kind.ROLLBACK, Kind.HOTFIX})


def require_no_open_incident(environment: str, incidents: Sequence[str], requester: Actor, kind: Kind) -> Verdict:
    """No automation promotes into an environment with an incident; what answers one passes, and so does a person."""
    if not incidents or requester.kind != "automation" or kind in _PASS:
        return Verdict("no open incident")
    reasons = tuple(f"incident {one} is open in {environment}" for one in incidents)
    closing = f"a person: shipline incident close {incidents[0]}; a hotfix or rollback that is verified"
    return Verdict("no open incident", reasons, waiting=True, unblocked_by=closing)
