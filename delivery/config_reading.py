"""Reading `shipline.yaml`: bytes to a `Configuration`, or everything that is wrong with them in one go."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue, ValidationError

from delivery.config import Configuration
from delivery.config_checks import check
from delivery.config_findings import Finding, described, model_findings, shortened
from delivery.config_repair import repaired
from delivery.config_size import crowded_sections
from delivery.errors import ConfigurationError, Problem
from delivery.spelling import closest
from delivery.yaml_document import Document, Fault, Mark, lines_of, parse

MAXIMUM_BYTES = 1_000_000
MAXIMUM_PROBLEMS = 50
_WIDTH = 100
"""Of an excerpt, in characters."""
_MOST_GUESSES = 300
_LISTED = 20
_MERGE = "<<"
_ENTRY = 2
"""The length of a path to an entry of a section: without it, what refers to it could not be judged fairly."""


def read_configuration(content: bytes, name: str = "shipline.yaml") -> Configuration:
    """The configuration that a file holds.

    Raises ConfigurationError with every problem, in order of their places, the first fifty in full.
    """
    text = _decoded(content, name)
    source, document = _Source(name, lines_of(text)), parse(text)
    if not document.faults and not isinstance(document.value, dict):
        document.faults.append(_not_a_mapping(document))
    judged = _judged(document) if document.complete else []
    if isinstance(judged, Configuration) and not document.faults:
        return judged
    raise source.refusal(document, judged if isinstance(judged, list) else [])


def _judged(document: Document) -> Configuration | list[Finding]:
    """The configuration, or everything that is wrong with it; a section with too many entries is not looked into."""
    if not isinstance(document.value, dict):
        return []
    crowded = list(crowded_sections(document.value))
    rest = {name: section for name, section in document.value.items() if (name,) not in {one.path for one in crowded}}
    try:
        configuration = Configuration.model_validate(rest, strict=True)
    except ValidationError as error:
        findings = _without_echoes(model_findings(error, rest))
        return [*crowded, *_beside_faults(document, findings), *_semantic_findings(document, rest, findings)]
    return crowded or list(check(configuration)) or configuration


def _beside_faults(document: Document, findings: list[Finding]) -> list[Finding]:
    """Without those about what the text says in a way that is not read: that is told already."""
    faulty = {fault.mark for fault in document.faults}
    return [
        finding
        for finding in findings
        if finding.unknown != _MERGE and document.mark(finding.path, of_key=finding.at_key) not in faulty
    ]


def problems_as_text(problems: Iterable[Problem]) -> str:
    """Problems for people: place and sentence, the line with a caret, what to do."""
    return "\n".join(_problem_as_text(problem) for problem in problems)


def _problem_as_text(problem: Problem) -> str:
    lines = [f"{problem.where}: {problem.message}" if problem.where else problem.message]
    lines += [f"    {line}" for line in problem.excerpt.splitlines()]
    if problem.hint:
        lines.append(f"  hint: {problem.hint}")
    return "\n".join(lines)


def _decoded(content: bytes, name: str) -> str:
    if len(content) > MAXIMUM_BYTES:
        problem = Problem(
            f"the file has {len(content)} bytes, more than the {MAXIMUM_BYTES} that are read",
            hint="keep data out of it",
            where=f"{name}:1:1",
        )
        raise _refusal(name, [problem], 1)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = content[: error.start].decode("utf-8-sig", errors="replace")
        lines = lines_of(good)
        problem = Problem(
            f"byte 0x{content[error.start]:02x} is not UTF-8",
            hint="save the file as UTF-8",
            where=f"{name}:{len(lines)}:{len(lines[-1]) + 1}",
        )
        raise _refusal(name, [problem], 1) from None


def _not_a_mapping(document: Document) -> Fault:
    if document.value is None:
        return Fault(Mark(1, 1), "the file is empty", "move it away, then write a first one with `shipline init`")
    message = f"expected keys like 'version: 1' at the top, got {described(document.value)}"
    return Fault(document.mark(()), message, "move it away, then write a first one with `shipline init`")


def _semantic_findings(document: Document, value: dict[str, JsonValue], findings: list[Finding]) -> list[Finding]:
    """What else is wrong, judged on the file as it was probably meant; nothing when that cannot be guessed."""
    unread = {finding.path for finding in findings} - {one.path for one in _beside_faults(document, findings)}
    if len(findings) > _MOST_GUESSES or value != document.value or any(len(path) <= _ENTRY for path in unread):
        return []
    meant = repaired(value, [(finding, closest(finding.unknown, finding.known)) for finding in findings])
    return list(check(meant)) if meant else []


def _without_echoes(findings: list[Finding]) -> list[Finding]:
    """Without the missing keys that are there under a misspelt name."""
    meant = {
        (*finding.path[:-1], closest(finding.unknown, finding.known))
        for finding in findings[:_MOST_GUESSES]
        if finding.at_key
    }
    return [finding for finding in findings if not (finding.missing and finding.path in meant)]


def _refusal(name: str, problems: list[Problem], count: int) -> ConfigurationError:
    first = problems[0]
    others = f" (and {count - 1} more)" if count > 1 else ""
    message = f"reading {name}: {first.message}{others}"
    more = count - len(problems)
    return ConfigurationError(message, hint=first.hint, where=first.where, problems=tuple(problems), more=more)


@dataclass(frozen=True, slots=True)
class _Source:
    """A file's name and lines, to show places of it."""

    name: str
    lines: list[str]

    def refusal(self, document: Document, findings: list[Finding]) -> ConfigurationError:
        """The error for a document's faults and for findings, in order of their places."""
        placed = [(fault.mark, Finding((), fault.message, fault.hint)) for fault in document.faults]
        placed += [(document.mark(finding.path, of_key=finding.at_key), finding) for finding in findings]
        placed.sort(key=lambda pair: pair[0])
        secrets = {mark.line: mark.column for mark, finding in reversed(placed) if finding.secret}
        shown = [self._problem(mark, finding, secrets) for mark, finding in placed[:MAXIMUM_PROBLEMS]]
        return _refusal(self.name, shown, len(placed))

    def _problem(self, mark: Mark, finding: Finding, secrets: Mapping[int, int]) -> Problem:
        near = closest(finding.unknown, finding.known)
        hint = f"did you mean '{shortened(near)}'?" if near else finding.hint or _listed(finding)
        shown = excerpt(self.lines, mark, secret=secrets.get(mark.line))
        return Problem(finding.message, hint, self._where(mark), shown)

    def _where(self, mark: Mark) -> str:
        return f"{self.name}:{mark.line}:{mark.column}"


def _listed(finding: Finding) -> str:
    """What is known, when that is a short list that the message does not show already."""
    known = sorted(finding.known)
    if not finding.unknown or len(known) > _LISTED or all(f"'{word}'" in finding.message for word in known):
        return ""
    return f"known: {', '.join(known)}"


def excerpt(lines: list[str], mark: Mark, *, secret: int | None = None) -> str:
    """The line of a mark with a caret under its column; of a long line, the part around it.

    What stands from the column `secret` on is shown to nobody.
    """
    if mark.line > len(lines):
        return ""
    line, column = lines[mark.line - 1], mark.column - 1
    if secret is not None:
        line = line[: secret - 1] + "***"
    start = max(0, column - _WIDTH // 2)
    shown = "".join(" " if not letter.isprintable() else letter for letter in line[start : start + _WIDTH])
    before = shown[: column - start]
    return f"{shown.rstrip()}\n{' ' * _cells(before)}^"


def _cells(text: str) -> int:
    """How wide a text is on a terminal."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    narrow = sum(unicodedata.combining(letter) > 0 for letter in text)
    return len(text) + wide - narrow
