"""What is wrong with a value as a configuration, in plain words, with the path of each.

Pydantic finds; the sentences are made here from what the models declare, because its own speak of types.
"""

import types
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from delivery.config import Configuration
from delivery.config_types import keys_of
from delivery.yaml_document import Path

_LONGEST_VALUE = 40


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong at a path of the configuration.

    `unknown` is a word that is none of `known`: where one of those is close, the hint asks for it.
    """

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False
    """Whether the key is wrong, not its value."""
    unknown: str = ""
    known: Collection[str] = ()
    secret: bool = False
    """Whether the value may be a secret: it is shown to nobody."""
    missing: bool = False
    """Whether something has to be added at the path."""


def model_findings(error: ValidationError, value: JsonValue) -> list[Finding]:
    """Every sentence that a validation error amounts to, one per place."""
    found: dict[Path, Finding] = {}
    details = error.errors(include_url=False, include_input=False)
    # "must not be empty" says more than "must be a list" of the same place.
    details.sort(key=lambda detail: detail["type"].endswith("_type"))
    paths = [_document_path(one, value) for one in details]
    parents = {path[:length] for path in paths for length in range(len(path))}
    for detail, path in zip(details, paths, strict=True):
        # Of a union, the alternative that got furthest speaks; the others only say that they do not fit.
        refused_alternative = path in parents and detail["type"].endswith("_type")
        if path not in found and not refused_alternative:
            found[path] = _finding(detail, path, value)
    return list(found.values())


def named(path: Path) -> str:
    """A path for people: `smoke.basic.requests[0].path`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{shortened(part)}" if text else shortened(part)
    return text


def shortened(text: str) -> str:
    """At most forty characters of a text, on one line."""
    line = text.replace("\n", "\\n")
    return line if len(line) <= _LONGEST_VALUE else line[:_LONGEST_VALUE] + "..."


def described(value: JsonValue) -> str:
    """A value for people: what kind it is, and what it says."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text '{shortened(value)}'"
        case list():
            return "a list" if value else "an empty list"
        case _:
            return "a mapping"


def value_at(value: JsonValue, path: Path) -> JsonValue:
    """What stands at a path; None when nothing does."""
    for part in path:
        if isinstance(value, dict) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def _document_path(detail: ErrorDetails, value: JsonValue) -> Path:
    """The error's place in the document: pydantic's path without the names of union alternatives."""
    path: list[str | int] = []
    here = value
    for part in detail["loc"]:
        if isinstance(here, dict) and part in here:
            here = here[str(part)]
        elif isinstance(here, list) and isinstance(part, int):
            here = here[part]
        else:
            continue
        path.append(part)
    if detail["type"] == "missing":
        path.append(detail["loc"][-1])
    return tuple(path)


def _finding(detail: ErrorDetails, path: Path, value: JsonValue) -> Finding:
    if detail["type"] == "missing":
        return Finding(path, f"missing key '{path[-1]}'{_inside(path)}", _add_hint(path), missing=True)
    if detail["type"] == "extra_forbidden":
        return _unknown_key(path)
    if detail["loc"][-1] == "[key]":
        return _bad_key(path)
    if "secrets" in path[:-1]:
        message = f"{named(path)} must be a reference like 'secret:NAME'"
        return Finding(path, message, "set the value with `shipline secret set NAME`", secret=True)
    return _bad_value(detail, path, value_at(value, path))


def _bad_value(detail: ErrorDetails, path: Path, given: JsonValue) -> Finding:
    kind, place, bound = detail["type"], named(path), _bound(detail)
    if kind == "literal_error":
        return _bad_choice(path, given)
    if kind == "string_pattern_mismatch":
        return Finding(path, f"{place} must be a name, got '{shortened(str(given))}'", _name_hint(str(given)))
    if kind in {"too_short", "string_too_short"}:
        return Finding(path, f"{place} must not be empty")
    if kind in {"too_long", "string_too_long"}:
        return Finding(path, f"{place} must not be longer than {detail['ctx']['max_length']}", at_key=True)
    if bound:
        return Finding(path, f"{place} must be {bound}, got {given}")
    return Finding(path, f"{place} must be {expected(path)}, got {described(given)}", _type_hint(path, given))


def _inside(path: Path) -> str:
    return f" in {named(path[:-1])}" if len(path) > 1 else ""


def _add_hint(path: Path) -> str:
    return "add 'version: 1' at the top" if path == ("version",) else ""


def _unknown_key(path: Path) -> Finding:
    known = tuple(name for option in annotations_at(path[:-1]) if _is_model(option) for name in keys_of(option))
    key = str(path[-1])
    return Finding(path, f"unknown key '{shortened(key)}'{_inside(path)}", at_key=True, unknown=key, known=known)


def _bad_key(path: Path) -> Finding:
    key = str(path[-1])
    if len(path) > 1 and path[-2] in {"environment", "secrets", "provides", "keep"}:
        hint = "use letters, digits and '_', and no digit first"
        return Finding(path, f"'{shortened(key)}'{_inside(path)} is not the name of a variable", hint, at_key=True)
    return Finding(path, f"'{shortened(key)}'{_inside(path)} is not a name", _name_hint(key), at_key=True)


def _name_hint(text: str) -> str:
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in text.lower()).split()
    proposal = "-".join(words)[:_LONGEST_VALUE].strip("-")
    rule = "use lower-case letters, digits and inner hyphens, at most 40"
    return f"{rule}, for instance '{proposal}'" if proposal else rule


def _bad_choice(path: Path, given: JsonValue) -> Finding:
    choices = [choice for option in annotations_at(path) for choice in _choices(option)]
    unknown = given if isinstance(given, str) else ""
    message = f"{named(path)} must be {_listed(choices)}, got {described(given)}"
    return Finding(path, message, unknown=unknown, known=[str(one) for one in choices])


def _listed(choices: Sequence[object]) -> str:
    *most, last = (_quoted(one) for one in choices)
    return f"{', '.join(most)} or {last}" if most else last


def _quoted(choice: object) -> str:
    return f"'{choice}'" if isinstance(choice, str) else str(choice)


def _bound(detail: ErrorDetails) -> str:
    limits = detail.get("ctx", {})
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return next((f"{words[name]} {limit:g}" for name, limit in limits.items() if name in words), "")


def _type_hint(path: Path, given: JsonValue) -> str:
    wanted = expected(path)
    if "a text" in wanted and isinstance(given, bool | int | float):
        return "put it in quotes"
    if wanted.startswith("a list") and isinstance(given, str):
        return f"write [{shortened(given)}]"
    if wanted == "true or false" and isinstance(given, str):
        return "write true or false, without quotes"
    if "number" in wanted and isinstance(given, str) and given.replace(".", "", 1).isdigit():
        return f"write {given} without quotes"
    return ""


def expected(path: Path) -> str:
    """What may stand at a path, in plain words: `a text or a list of texts`."""
    return _either(annotations_at(path))


def expected_of(annotation: Any) -> str:  # noqa: ANN401  # types are values here
    """A declared type in plain words."""
    return _either(_alternatives(annotation))


def _either(options: Iterable[Any]) -> str:
    words = [_word(option) for option in options]
    return " or ".join(dict.fromkeys(word for word in words if word)) or "any value"


def annotations_at(path: Path) -> list[Any]:
    """The declared types at a path, unions taken apart."""
    return _declared(tuple(0 if isinstance(part, int) else part for part in path))


@lru_cache(maxsize=256)
def _declared(path: Path) -> list[Any]:
    options: list[Any] = [Configuration]
    for part in path:
        options = [inner for option in options for inner in _step_into(option, part)]
    return options


def _step_into(option: Any, part: str | int) -> Iterator[Any]:  # noqa: ANN401  # types are values here
    origin, arguments = get_origin(option), get_args(option)
    if _is_model(option) and part in (keys := keys_of(option)):
        yield from _alternatives(keys[part].annotation)
    elif origin is dict and isinstance(part, str):
        yield from _alternatives(arguments[1])
    elif origin is list and isinstance(part, int):
        yield from _alternatives(arguments[0])


def _alternatives(annotation: Any) -> Iterator[Any]:  # noqa: ANN401
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin in {Union, types.UnionType}:
        for one in get_args(annotation):
            yield from _alternatives(one)
    elif annotation is not type(None):
        yield annotation


def _is_model(option: Any) -> bool:  # noqa: ANN401
    return isinstance(option, type) and issubclass(option, BaseModel)


def _choices(option: Any) -> Sequence[Any]:  # noqa: ANN401
    return get_args(option) if get_origin(option) is Literal else ()


_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
_MANY = {str: "texts", int: "whole numbers"}


def _word(option: Any) -> str:  # noqa: ANN401
    origin, arguments = get_origin(option), get_args(option)
    if _is_model(option):
        return f"a section with {', '.join(list(keys_of(option))[:4])}"
    if origin is dict:
        return "a section of names and their values"
    if origin is list:
        inner = next(_alternatives(arguments[0]))
        return f"a list of {_MANY.get(inner, 'sections' if _is_model(inner) else 'words')}"
    if origin is Literal:
        return _listed(arguments)
    return _WORDS.get(option, "")
