"""Steps as planned and as executed: their key, their command, their result."""

from dataclasses import dataclass, field
from enum import StrEnum

from delivery.artifact import Digest
from delivery.config import Reports


class StepState(StrEnum):
    """How a step ended."""

    COMPLETED = "Completed"
    FAILED = "Failed"
    ERRORED = "Errored"
    SKIPPED = "Skipped"
    CACHED = "Cached"
    CANCELLED = "Cancelled"


@dataclass(frozen=True, slots=True)
class TestCase:
    """One failed test as its report tells it."""

    __test__ = False  # pytest would collect it by its name

    name: str
    message: str
    output: str = ""


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """What a step's JUnit and coverage reports say."""

    tests: int = 0
    failures: int = 0
    skipped: int = 0
    failed: tuple[TestCase, ...] = ()
    """At most the first fifty."""
    line_coverage: float | None = None
    """Per cent."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """How one step of a run ended."""

    name: str
    service: str | None
    state: StepState
    reason: str = ""
    """One sentence for people: why it is not Completed."""
    exit_code: int | None = None
    attempts: int = 0
    seconds: float = 0.0
    key: Digest | None = None
    outputs: Digest | None = None
    """The packed outputs in the store."""
    report: ReportSummary = field(default_factory=ReportSummary)
    log: str | None = None
    """The log's name, relative to the run's log folder."""
    saved_seconds: float = 0.0
    """What executing it took once, when that was reused."""
    blocked: bool = False
    """Skipped because something that it needs did not pass: nothing after it may run either."""
    isolated: bool = False
    """Whether its command saw no more of the machine than it was given; of a reused one, when it was executed."""
    exposure: str = ""
    """Why Shipline was not safe from the command; empty when it was."""

    @property
    def unprotected(self) -> bool:
        """Whether somebody's command could have seen or changed more than it was given."""
        return self.state is not StepState.SKIPPED and (not self.isolated or bool(self.exposure))


_NAMED = 3
"""Failed tests named in a reason; the report has the others."""


def judge_reports(summary: ReportSummary, reports: Reports) -> tuple[str, ...]:
    """Why what a step reports of itself fails it, whatever its exit code was; empty when it does not."""
    reasons: list[str] = []
    if summary.failures:
        names = ", ".join(case.name for case in summary.failed[:_NAMED])
        others = f" and {summary.failures - _NAMED} more" if summary.failures > _NAMED else ""
        reasons.append(f"{summary.failures} of {summary.tests} tests failed: {names}{others}")
    minimum = reports.minimum_coverage
    if minimum is not None and summary.line_coverage is None:
        reasons.append(f"no line coverage was reported, at least {minimum:g} % is wanted")
    elif minimum is not None and summary.line_coverage is not None and summary.line_coverage < minimum:
        reasons.append(f"line coverage is {summary.line_coverage:g} %, at least {minimum:g} % is wanted")
    return tuple(reasons)
