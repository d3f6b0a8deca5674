"""Reports are read with what they say, and a bad one is a reason and not a crash."""

from functools import partial
from pathlib import Path

import pytest

from delivery.adapters import reports as reading
from delivery.adapters.reports import read_reports
from delivery.config import Reports
from delivery.masking import mask_text
from delivery.step import ReportSummary, TestCase, judge_reports

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests">
 <testsuite name="pytest" tests="4">
  <testcase classname="tests.shop" name="test_buys" time="0.1"/>
  <testcase classname="tests.shop" name="test_pays"><failure message="assert 1 == 2">trace</failure></testcase>
  <testcase classname="tests.shop" name="test_ships"><error message="boom">later</error></testcase>
  <testcase classname="tests.shop" name="test_waits"><skipped message="not now"/></testcase>
 </testsuite>
</testsuites>"""
ONE_SUITE = '<testsuite><testcase name="ok"/><testsuite><testcase name="inner"/></testsuite></testsuite>'
TOTALS = '<coverage lines-valid="200" lines-covered="150" line-rate="0.75"/>'
LINES = """<coverage line-rate="0.5"><packages><package><classes><class><lines>
<line number="1" hits="3"/><line number="2" hits="0"/></lines></class></classes></package></packages></coverage>"""
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><testsuites>&b;</testsuites>'
OUTSIDE = '<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuites/>'
SECRET = "correct horse battery"


def read(tmp_path: Path, asked: Reports, **files: str | bytes) -> tuple[ReportSummary, tuple[str, ...]]:
    for name, content in files.items():
        path = tmp_path / name.replace("__", "/").replace("_xml", ".xml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_reports(tmp_path, asked, partial(mask_text, values=[SECRET]))


def test_a_junit_report_says_what_ran_and_what_failed(tmp_path: Path) -> None:
    summary, problems = read(tmp_path, Reports(junit=["junit.xml"]), junit_xml=JUNIT)
    assert (summary.tests, summary.failures, summary.skipped, summary.line_coverage) == (4, 2, 1, None)
    assert summary.failed == (
        TestCase("tests.shop::test_pays", "assert 1 == 2", "trace"),
        TestCase("tests.shop::test_ships", "boom", "later"),
    )
    assert problems == ()


def test_all_files_of_all_patterns_count_together(tmp_path: Path) -> None:
    asked = Reports(junit=["out/*.xml", "junit.xml"], coverage=["cov/**"])
    summary, problems = read(
        tmp_path, asked, out__a_xml=ONE_SUITE, junit_xml=JUNIT, cov__x__a_xml=TOTALS, cov__b_xml=LINES
    )
    assert (summary.tests, summary.failures, summary.line_coverage, problems) == (6, 2, round(100 * 151 / 202, 2), ())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (LAUGHS, "the report r.xml has a document type, which is not read"),
        (OUTSIDE, "the report r.xml has a document type, which is not read"),
        (OUTSIDE.encode("utf-16"), "the report r.xml has a document type, which is not read"),
        ("", "the report r.xml is not well-formed XML: no element found: line 1, column 0"),
        ("<testsuites>", "the report r.xml is not well-formed XML: no element found: line 1, column 12"),
        (b"\xff\xfe\xff", "the report r.xml is not well-formed XML"),
        ('<?xml version="1.0" encoding="nonsense"?><x/>', "the report r.xml is not well-formed XML: unknown encoding"),
        ("<html/>", "a JUnit report begins with <html> instead of <testsuites> or <testsuite>"),
    ],
)
def test_a_broken_report_is_a_reason(tmp_path: Path, content: str | bytes, problem: str) -> None:
    summary, problems = read(tmp_path, Reports(junit=["r.xml"]), r_xml=content)
    assert summary == ReportSummary()
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_a_coverage_report_of_another_kind_is_a_reason(tmp_path: Path) -> None:
    _, problems = read(tmp_path, Reports(coverage=["c.xml"]), c_xml="<report/>")
    assert problems == ("a coverage report begins with <report> instead of <coverage>",)


def test_a_report_that_was_not_written_is_a_reason(tmp_path: Path) -> None:
    _, problems = read(tmp_path, Reports(junit=["out/*.xml"], coverage=["c.xml"]))
    assert problems == ("the report 'out/*.xml' was not written", "the report 'c.xml' was not written")


def test_a_report_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.xml").write_text(JUNIT)
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "junit.xml").symlink_to("../outside.xml")
    _, problems = read_reports(tmp_path / "checkout", Reports(junit=["junit.xml"]), str)
    assert problems == ("the report 'junit.xml' was not written",)


def test_a_huge_report_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAXIMUM_BYTES", 10)
    _, problems = read(tmp_path, Reports(junit=["r.xml"]), r_xml=JUNIT)
    assert problems == ("the report r.xml is larger than 10 bytes",)


def test_at_most_fifty_failed_tests_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    cases = "".join(f'<testcase name="t{number}"><failure message="m"/></testcase>' for number in range(70))
    summary, _ = read(tmp_path, Reports(junit=["r.xml"]), r_xml=f"<testsuite>{cases}</testsuite>")
    assert (summary.failures, len(summary.failed)) == (70, 50)


@pytest.mark.parametrize("shown", [1, 10, 20])
def test_a_secret_is_hidden_before_what_a_test_says_is_cut(tmp_path: Path, shown: int) -> None:
    message, output = f"{'m' * (4000 - shown)}{SECRET}", f"{SECRET}{'o' * (4000 - shown)}"
    case = f'<testcase name="{SECRET}"><failure message="{message}">{output}</failure></testcase>'
    summary, _ = read(tmp_path, Reports(junit=["r.xml"]), r_xml=f"<testsuite>{case}</testsuite>")
    hidden = f"{'m' * (4000 - shown)}***"[:4000], f"***{'o' * (4000 - shown)}"[-4000:]
    assert summary.failed == (TestCase("***", *hidden),)


def failed(*names: str) -> tuple[TestCase, ...]:
    return tuple(TestCase(name, "") for name in names)


@pytest.mark.parametrize(
    ("summary", "minimum", "reasons"),
    [
        (ReportSummary(tests=3), None, ()),
        (ReportSummary(3, 1, 0, failed("a")), None, ("1 of 3 tests failed: a",)),
        (ReportSummary(9, 5, 0, failed(*"abcde")), None, ("5 of 9 tests failed: a, b, c and 2 more",)),
        (ReportSummary(line_coverage=80.0), 80, ()),
        (ReportSummary(line_coverage=79.99), 80, ("line coverage is 79.99 %, at least 80 % is wanted",)),
        (ReportSummary(), 80, ("no line coverage was reported, at least 80 % is wanted",)),
    ],
)
def test_reports_fail_a_step(summary: ReportSummary, minimum: float | None, reasons: tuple[str, ...]) -> None:
    assert judge_reports(summary, Reports(minimum_coverage=minimum)) == reasons
