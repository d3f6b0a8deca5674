"""Reads what a step reports of itself: JUnit XML (through junitparser) and Cobertura XML.

The files are written by somebody's code: they are bounded, and one with a document type (entities,
outside references) is not read.
"""

import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.parsers import expat

import junitparser

from delivery.archive import members_below
from delivery.config import Reports
from delivery.paths import matching
from delivery.step import ReportSummary, TestCase

MAXIMUM_BYTES = 32 * 1024 * 1024
_FAILED_KEPT = 50
_TEXT_KEPT = 4000
"""Characters of each failed test's output."""


class _UnreadableError(Exception):
    """Why a report cannot be read, as the end of a sentence."""


def read_reports(folder: Path, reports: Reports, mask: Callable[[str], str]) -> tuple[ReportSummary, tuple[str, ...]]:
    """Everything that the declared reports below a folder say together, and what is wrong with them.

    What failed tests say is masked.
    """
    problems: list[str] = []
    cases = [case for root in _documents(folder, reports.junit, problems) for case in _cases(root, problems)]
    lines = [count for root in _documents(folder, reports.coverage, problems) if (count := _lines(root, problems))]
    failed = [case for case in cases if _bad(case)]
    valid = sum(count.valid for count in lines)
    summary = ReportSummary(
        tests=len(cases),
        failures=len(failed),
        skipped=sum(any(isinstance(result, junitparser.Skipped) for result in case.result) for case in cases),
        failed=tuple(_failed(case, mask) for case in failed[:_FAILED_KEPT]),
        line_coverage=round(100 * sum(count.covered for count in lines) / valid, 2) if valid else None,
    )
    return summary, tuple(problems)


def _documents(folder: Path, patterns: Sequence[str], problems: list[str]) -> list[ET.Element]:
    if not patterns:
        return []
    names = [
        path.relative_to(folder).as_posix() for path in members_below(folder) if stat.S_ISREG(path.lstat().st_mode)
    ]
    roots = []
    for pattern in patterns:
        found = matching([pattern], names)
        if not found:
            problems.append(f"the report '{pattern}' was not written")
        for name in sorted(found):
            try:
                roots.append(_read(folder / name))
            except _UnreadableError as error:
                problems.append(f"the report {name} {error}")
    return roots


def _read(path: Path) -> ET.Element:
    if path.stat().st_size > MAXIMUM_BYTES:
        raise _UnreadableError(f"is larger than {MAXIMUM_BYTES} bytes")
    content = path.read_bytes()
    checker = expat.ParserCreate()
    checker.StartDoctypeDeclHandler = _refuse_document_type
    try:
        checker.Parse(content, True)  # noqa: FBT003  # it takes no keywords
        return ET.fromstring(content)  # noqa: S314  # without a document type there are no entities
    except (expat.ExpatError, ET.ParseError, ValueError, LookupError) as error:
        raise _UnreadableError(f"is not well-formed XML: {error}") from error


def _refuse_document_type(*_declared: object) -> None:
    raise _UnreadableError("has a document type, which is not read")


def _cases(root: ET.Element, problems: list[str]) -> list[junitparser.TestCase]:
    try:
        report = junitparser.JUnitXml.fromroot(root)  # type: ignore[arg-type]  # its annotation names its own Element
    except junitparser.JUnitXmlError:
        problems.append(f"a JUnit report begins with <{root.tag}> instead of <testsuites> or <testsuite>")
        return []
    return [case for suite in report for case in suite]


def _bad(case: junitparser.TestCase) -> bool:
    return any(isinstance(result, junitparser.Failure | junitparser.Error) for result in case.result)


def _failed(case: junitparser.TestCase, mask: Callable[[str], str]) -> TestCase:
    """Masked before it is cut: the cut may go through a secret."""
    result = next(result for result in case.result if isinstance(result, junitparser.Failure | junitparser.Error))
    name = f"{case.classname}::{case.name}" if case.classname else str(case.name)
    return TestCase(mask(name), mask(result.message or "")[:_TEXT_KEPT], mask(result.text or "")[-_TEXT_KEPT:])


@dataclass(frozen=True, slots=True)
class _Lines:
    covered: int
    valid: int


def _lines(root: ET.Element, problems: list[str]) -> _Lines | None:
    """From the totals that coverage.py and most others write; otherwise counted."""
    if root.tag != "coverage":
        problems.append(f"a coverage report begins with <{root.tag}> instead of <coverage>")
        return None
    covered, valid = root.get("lines-covered", ""), root.get("lines-valid", "")
    if covered.isdigit() and valid.isdigit():
        return _Lines(int(covered), int(valid))
    hits = [line.get("hits", "0") for line in root.iterfind(".//class/lines/line")]
    return _Lines(sum(hit.strip("0") != "" for hit in hits), len(hits))
