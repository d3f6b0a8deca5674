"""Gate: nobody holds the environment."""

from delivery.actor import Actor
from delivery.gates.verdict import Verdict
from delivery.promotion import Kind


def require_not_held(environment: str, hold_reason: str | None, requester: Actor, kind: Kind) -> Verdict:
    """No automation moves an environment that a person holds, except back from a rollout that failed."""
    if hold_reason is None or requester.kind != "automation" or kind is Kind.ROLLBACK:
        return Verdict("not held")
    held = f"{environment} is on hold: {hold_reason}"
    return Verdict("not held", (held,), waiting=True, unblocked_by=f"a person: shipline unhold {environment}")
