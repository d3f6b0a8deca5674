"""YAML text as plain values and the place of each; the only importer of PyYAML.

The C scanner's events carry positions, so one pass gives both. Reading events one by one, instead of
letting the library compose, also bounds depth, count and aliases before anything is built.

Scalars follow YAML 1.2's core schema: `on`, `yes` and dates are texts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from pydantic import JsonValue

MAXIMUM_DEPTH = 30
MAXIMUM_VALUES = 20_000
MAXIMUM_FAULTS = 100

Path = tuple[str | int, ...]
"""Keys and list positions from the root."""

_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, JsonValue] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_AGAIN = "\0"
"""In a key that stands for a duplicate one: the first counts, and what is below the others has places of its own."""
_LARGEST_EXACT = 2**53 - 1
_LONGEST_NUMBER = 40


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a text; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that the text says and Shipline does not read."""

    mark: Mark
    message: str
    hint: str = ""


@dataclass(slots=True)
class Document:
    """A read text. `value` holds what could be read, also when there are faults."""

    value: JsonValue = None
    faults: list[Fault] = field(default_factory=list)
    keys: dict[Path, Mark] = field(default_factory=dict)
    """Where the key of a mapping's entry stands."""
    values: dict[Path, Mark] = field(default_factory=dict)
    complete: bool = False
    """Whether the text was read to its end, so that what `value` lacks is not in it."""

    def mark(self, path: Path, *, of_key: bool = False) -> Mark:
        """Where a value (or its key) stands; of what is not there, where the nearest thing around it does."""
        if of_key and path in self.keys:
            return self.keys[path]
        while path not in self.values and path:
            path = path[:-1]
            if path in self.keys:
                return self.keys[path]
        return self.values.get(path, Mark(1, 1))


def parse(text: str) -> Document:
    """Read one YAML document without anchors' aliases, tags and directives; never raises."""
    document = Document()
    directive = _first_directive(text)
    if directive:
        document.faults.append(Fault(Mark(directive, 1), "YAML directives are not supported", "remove this line"))
        return document
    try:
        _Reading(document).read(_events(text))
    except yaml.MarkedYAMLError as error:
        document.faults.append(_syntax_fault(error, text))
    except yaml.reader.ReaderError as error:
        document.faults.append(_character_fault(error, text))
    return document


def plain_value(text: str) -> JsonValue:
    """What an unquoted scalar means; ValueError for a number that cannot be kept exactly."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) or _BASED.fullmatch(text):
        return _exact(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if abs(number) == float("inf"):
            raise ValueError(text)
        return number
    return text


def lines_of(text: str) -> list[str]:
    """The lines as YAML counts them."""
    return re.split("\r\n|[\r\n\x85\u2028\u2029]", text)


def _exact(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(text)
    number = int(text, 0) if _BASED.fullmatch(text) else int(text)
    if abs(number) > _LARGEST_EXACT:
        raise ValueError(text)
    return number


def _events(text: str) -> Iterator[yaml.Event]:
    return yaml.parse(text, Loader=yaml.CSafeLoader)


def _first_directive(text: str) -> int:
    """The line of a directive at the start, or 0. Thousands of them take the parser seconds."""
    for number, line in enumerate(lines_of(text), 1):
        if line.startswith("%"):
            return number
        if line.strip() and not line.lstrip().startswith("#"):
            return 0
    return 0


def _mark(event: yaml.Event) -> Mark:
    place = event.start_mark
    return Mark(place.line + 1, place.column + 1) if place else Mark(1, 1)


@dataclass(slots=True)
class _Frame:
    """A mapping or list being filled; `key` is set while a mapping waits for its value."""

    container: dict[str, JsonValue] | list[JsonValue]
    path: Path
    key: str | None = None
    key_mark: Mark = field(default_factory=lambda: Mark(1, 1))


class _Stop(Exception):  # noqa: N818  # not an error: the fault is recorded, and reading ends
    """Enough is known."""


class _Reading:
    """One pass over the events of a text."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._frames: list[_Frame] = []
        self._documents = 0
        self._placed = 0

    def read(self, events: Iterator[yaml.Event]) -> None:
        try:
            for event in events:
                self._take(event)
        except _Stop:
            return
        self._document.complete = True

    def _take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent():
                self._open(event, {})
            case yaml.SequenceStartEvent():
                self._open(event, [])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._frames.pop()
            case yaml.AliasEvent():
                self._fault(event, f"alias '*{event.anchor}' is not supported", "write the value out")
                self._place(None, event)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._fault(event, "a second document begins here", "keep one document in the file")
                    raise _Stop

    def _fault(self, event: yaml.Event, message: str, hint: str) -> None:
        self._document.faults.append(Fault(_mark(event), message, hint))
        if len(self._document.faults) >= MAXIMUM_FAULTS:
            raise _Stop

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._fault(event, f"tag '{_short(tag)}' is not supported", "remove the tag")

    def _open(self, event: yaml.CollectionStartEvent, container: dict[str, JsonValue] | list[JsonValue]) -> None:
        if len(self._frames) >= MAXIMUM_DEPTH:
            self._fault(event, f"nested deeper than {MAXIMUM_DEPTH} levels", "make the file flatter")
            raise _Stop
        self._check_tag(event)
        if self._expects_key():
            self._fault(event, "a key must be a text, not a list or a mapping", "write a plain word before the colon")
            raise _Stop
        path = self._place(container, event)
        self._frames.append(_Frame(container, path))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._check_tag(event)
        value: JsonValue = event.value
        if event.style in {None, "", "\0"}:
            try:
                value = plain_value(event.value)
            except ValueError:
                hint = "write a smaller one, or quote it for a text"
                self._fault(event, f"number {_short(event.value)} is too large", hint)
        if "\0" in event.value:
            self._fault(event, "a text may not contain the character NUL", "remove the '\\0'")
        if self._expects_key():
            self._take_key(event, value)
        else:
            self._place(value, event)

    def _expects_key(self) -> bool:
        return bool(self._frames) and isinstance(self._frames[-1].container, dict) and self._frames[-1].key is None

    def _take_key(self, event: yaml.ScalarEvent, value: JsonValue) -> None:
        frame, key = self._frames[-1], event.value
        if not isinstance(value, str):
            self._fault(event, f"key {_short(key) or 'null'} must be a text", f"put it in quotes: '{_short(key)}'")
        first = self._document.keys.get((*frame.path, key))
        if first:
            self._fault(
                event, f"duplicate key '{_short(key)}', first given on line {first.line}", "keep one of the two"
            )
            key = f"{key}{_AGAIN}{len(self._document.faults)}"
        frame.key, frame.key_mark = key, _mark(event)

    def _place(self, value: JsonValue, event: yaml.Event) -> Path:
        """Put a value where the parser stands, and remember where that is."""
        self._placed += 1
        if self._placed > MAXIMUM_VALUES:
            self._fault(event, f"more than {MAXIMUM_VALUES} values", "split the repository or shorten the file")
            raise _Stop
        if not self._frames:
            self._document.value = value
            return self._remember((), event)
        frame = self._frames[-1]
        if isinstance(frame.container, list):
            frame.container.append(value)
            return self._remember((*frame.path, len(frame.container) - 1), event)
        path = (*frame.path, frame.key or "")
        self._document.keys.setdefault(path, frame.key_mark)
        if _AGAIN not in (frame.key or ""):
            frame.container[frame.key or ""] = value
        frame.key = None
        return self._remember(path, event)

    def _remember(self, path: Path, event: yaml.Event) -> Path:
        self._document.values[path] = _mark(event)
        return path


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_NUMBER else text[:_LONGEST_NUMBER] + "..."


def _character_fault(error: yaml.reader.ReaderError, text: str) -> Fault:
    before = lines_of(text[: error.position])
    mark = Mark(len(before), len(before[-1]) + 1)
    return Fault(mark, f"character U+{error.character:04X} is not allowed in YAML", "remove it")


_PLAINLY = (
    ("mapping values are not allowed", "a colon stands where no key can be", "put a text that contains ': ' in quotes"),
    ("could not find expected ':'", "expected ':' after a key", "write 'key: value'"),
    ("did not find expected key", "expected a key at this indentation", "indent keys of one section alike"),
    (
        "did not find expected '-' indicator",
        "expected '-' of a list at this indentation",
        "indent the list's items alike",
    ),
    ("did not find expected ',' or", "a list or mapping in brackets is not closed", "add the missing bracket or comma"),
    ("found unexpected end of stream", "a quoted text is not closed", "add the missing quote"),
    (
        "block sequence entries are not allowed",
        "a list cannot begin here",
        "put '-' on a line of its own, below its key",
    ),
    (
        "unknown escape character",
        "unknown escape in a double-quoted text",
        "use single quotes, or double the backslash",
    ),
    ("invalid Unicode character escape", "invalid character escape in a text", "write the character itself"),
    ("did not find expected node content", "expected a value", "write one, or remove what stands before it"),
    ("cannot start any token", "this character cannot begin a value", "put the text in quotes"),
    ("found undefined tag handle", "tags are not supported", "put a text that begins with '!' in quotes"),
)


_AT_ITS_BEGINNING = ("did not find expected ',' or", "could not find expected ':'")
"""Complaints that are understood where the thing begins, not where the parser gave up."""


def _syntax_fault(error: yaml.MarkedYAMLError, text: str) -> Fault:
    """The parser's complaint in plain words; a tab that indents is the usual reason for one of them."""
    lines = lines_of(text)
    problem = str(error.problem or error.context or "not readable")
    mark = _place_of(error, problem, lines)
    line = lines[mark.line - 1]
    if not line[: mark.column - 1].strip() and line[mark.column - 1 : mark.column] == "\t":
        return Fault(mark, "a tab indents this line", "indent with spaces")
    for known, message, hint in _PLAINLY:
        if known in problem:
            return Fault(mark, message, hint)
    return Fault(mark, f"not valid YAML: {problem}")


def _place_of(error: yaml.MarkedYAMLError, problem: str, lines: list[str]) -> Mark:
    """Where a person should look; never after the last line that says something."""
    last = max((number for number, line in enumerate(lines) if line.strip()), default=0)
    marks = [error.problem_mark, error.context_mark]
    if problem.startswith(_AT_ITS_BEGINNING):
        marks.reverse()
    for mark in marks:
        if mark and mark.line <= last:
            return Mark(mark.line + 1, mark.column + 1)
    return Mark(last + 1, len(lines[last]) + 1)
