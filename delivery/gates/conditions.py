"""Gate: what else policy asks, in CEL."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from delivery.actor import Actor
from delivery.config_gates import Condition
from delivery.errors import ConfigurationError
from delivery.gates.verdict import Verdict
from delivery.promotion import Kind

_GATE = "conditions"
FACTS = ("changes", "checks", "incidents", "now", "promotion", "release")
"""What an expression can ask about; docs/gates.md says what is in each."""

Facts = Mapping[str, object]
"""By these names: JSON, with `datetime` for timestamps."""


def require_conditions(conditions: Iterable[Condition], facts: Facts, requester: Actor, kind: Kind) -> Verdict:
    """Every condition is true. One that is false refuses, or waits where that is said; one that fails refuses.

    The way back of a failed rollout is asked nothing.
    """
    if kind is Kind.ROLLBACK and requester.kind == "automation":
        return Verdict(_GATE)
    against = [found for one in conditions if (found := _against(one, facts))]
    refusing = tuple(one.reason for one in against if not one.may_change)
    if refusing or not against:
        return Verdict(_GATE, refusing)
    reasons = tuple(one.reason for one in against)
    return Verdict(_GATE, reasons, waiting=True, unblocked_by="what it asks about; it is asked every few seconds")


@dataclass(frozen=True, slots=True)
class _Against:
    reason: str
    may_change: bool = False


def _against(condition: Condition, facts: Facts) -> _Against | None:
    from delivery.cel import holds

    named = f"condition '{condition.name}'"
    try:
        if holds(condition.cel, facts):
            return None
    except ConfigurationError as error:
        return _Against(f"{named} cannot be evaluated: {error.message}")
    return _Against(f"{named}: {condition.because}", condition.otherwise == "wait")
