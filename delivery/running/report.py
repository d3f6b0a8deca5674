"""A run's report as markdown."""

from collections.abc import Iterator, Mapping, Sequence

from delivery.run import BuiltService
from delivery.step import StepResult

MOST_OUTPUT = 4000


def steps_page(results: Mapping[str, StepResult]) -> str:
    """Failed tests with their output first, then every step in a table."""
    return "\n".join((*_failures(results), *_table(results)))


def _failures(results: Mapping[str, StepResult]) -> Iterator[str]:
    for name, result in results.items():
        for case in result.report.failed:
            yield f"### {name}: {case.name}\n\n{case.message}\n\n```text\n{case.output[-MOST_OUTPUT:]}\n```\n"


def _table(results: Mapping[str, StepResult]) -> Iterator[str]:
    yield "| step | state | seconds | tests | coverage | |"
    yield "|--|--|--|--|--|--|"
    for name, one in results.items():
        tests = f"{one.report.tests} run, {one.report.failures} failed" if one.report.tests else ""
        coverage = f"{one.report.line_coverage:.1f} %" if one.report.line_coverage is not None else ""
        reason = one.reason.replace("|", "\\|").replace("\n", " ")
        yield f"| {name} | {one.state} | {one.seconds:.1f} | {tests} | {coverage} | {reason} |"


def artifacts_page(built: Sequence[BuiltService]) -> str:
    """Every service's artifact, and whether it was built before."""
    rows = (f"| {one.service} | `{one.digest}` | {'reused' if one.reused else 'built'} |" for one in built)
    return "\n".join(("| service | artifact | |", "|--|--|--|", *rows))
