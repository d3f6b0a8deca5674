"""Run the tests of one service with unittest and write a JUnit report: `python3 tools/unit.py web report.xml`."""
# ruff: noqa: INP001  # a program, not a package

import sys
import time
import unittest
from pathlib import Path
from xml.etree import ElementTree as ET


class TimedResult(unittest.TextTestResult):
    """A result that keeps every test with its seconds and what went wrong."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]  # unittest's own, passed on
        self.cases: list[tuple[unittest.TestCase, float]] = []
        self._began = 0.0

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802  # unittest's name
        """Remember when it began."""
        self._began = time.perf_counter()
        super().startTest(test)

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802  # unittest's name
        """Remember how long it took."""
        self.cases.append((test, time.perf_counter() - self._began))
        super().stopTest(test)


def main(service: str, report: str) -> int:
    """The exit code: 0 when every test passed."""
    suite = unittest.defaultTestLoader.loadTestsFromName(f"tests.test_{service}")
    result = unittest.TextTestRunner(verbosity=2, resultclass=TimedResult).run(suite)
    assert isinstance(result, TimedResult)  # noqa: S101  # by `resultclass`
    ET.ElementTree(as_junit(service, result)).write(report, encoding="utf-8", xml_declaration=True)
    return 0 if result.wasSuccessful() else 1


def as_junit(service: str, result: TimedResult) -> ET.Element:
    """The result as a JUnit test suite."""
    wrong = {
        **{test.id(): ("failure", text) for test, text in result.failures},
        **{test.id(): ("error", text) for test, text in result.errors},
    }
    seen = {test.id() for test, _ in result.cases}
    suite = ET.Element("testsuite", name=service, tests=str(len(seen | wrong.keys())))
    suite.set("failures", str(len(result.failures)))
    suite.set("errors", str(len(result.errors)))
    seconds = {test.id(): taken for test, taken in result.cases}
    for name in sorted(seen | wrong.keys()):
        group, _, test = name.rpartition(".")
        case = ET.SubElement(suite, "testcase", classname=group, name=test, time=f"{seconds.get(name, 0):.3f}")
        if name in wrong:
            kind, text = wrong[name]
            ET.SubElement(case, kind, message=text.strip().splitlines()[-1]).text = text
    return suite


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main(sys.argv[1], sys.argv[2]))
