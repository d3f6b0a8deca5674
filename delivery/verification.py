"""Verification of a running release: the results of a smoke suite."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SmokeResult:
    """How one request of a suite went."""

    name: str
    passed: bool
    seconds: float
    """Of the last answer."""
    status: int | None
    attempts: int
    reason: str = ""
    """What was expected and what came, in one sentence; never a secret."""


@dataclass(frozen=True, slots=True)
class SmokeReport:
    """How a suite went."""

    results: tuple[SmokeResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every request did."""
        return all(result.passed for result in self.results)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not pass."""
        return tuple(result.reason for result in self.results if not result.passed)
