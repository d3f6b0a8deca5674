"""What a gate says, with reasons that an operator reads."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """Passed when there are no reasons against; waiting when time or a person may still change them."""

    gate: str
    reasons: tuple[str, ...] = ()
    waiting: bool = False
    until: datetime | None = None
    """When it will say something else by itself, where that is known."""
    unblocked_by: str = ""
    """What would let the promotion go on, and who can do that, where that is known."""

    @property
    def passed(self) -> bool:
        """Whether nothing stands against it."""
        return not self.reasons


def refusals(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """The reasons of all verdicts that say no for good."""
    return tuple(reason for verdict in verdicts if not verdict.waiting for reason in verdict.reasons)


def waits(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """The reasons of all verdicts that only ask to wait."""
    return tuple(reason for verdict in verdicts if verdict.waiting for reason in verdict.reasons)


def short(digest: str) -> str:
    """A digest as people read it."""
    return digest.removeprefix("sha256:")[:12]


def moment(when: datetime) -> str:
    """A time as people read it in a reason: RFC 3339 in UTC, to the second."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
