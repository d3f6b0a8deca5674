"""What a smoke request sends and whether an answer will do. Pure: values in, values out."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from delivery.config import SmokeRequest

_REFERENCE = "secret:"
_KEPT = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SHOWN_CHARACTERS = 200

Mask = Callable[[str], str]
"""Hides the secrets in a text; it must see the whole of it, before anything is cut off."""

Find = Callable[[JsonValue, str], JsonValue]
"""The value at a JSON pointer; raises LookupError when there is none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    seconds: float
    document: JsonValue = None
    readable: bool = True
    """Whether the body is JSON."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request with every name and secret filled in."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: JsonValue = None


def title(request: SmokeRequest) -> str:
    """What a request is called in reports."""
    return request.name or f"{request.method} {request.path}"


def question(request: SmokeRequest, kept: Mapping[str, str], secret: Callable[[str], str]) -> Question:
    """Fill in what earlier answers left and the secrets; LookupError names what is missing."""
    headers = {
        name: secret(value) if value.startswith(_REFERENCE) else fill(value, kept)
        for name, value in request.headers.items()
    }
    return Question(request.method, fill(request.path, kept), headers, _filled(request.body, kept))


def fill(text: str, kept: Mapping[str, str]) -> str:
    """Replace `{NAME}`; other braces stay as they are."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in kept:
            raise LookupError(f"{match[0]} was not kept by an earlier request")
        return kept[match[1]]

    return _KEPT.sub(value, text)


def _filled(body: JsonValue, kept: Mapping[str, str]) -> JsonValue:
    if isinstance(body, str):
        return fill(body, kept)
    if isinstance(body, list):
        return [_filled(one, kept) for one in body]
    if isinstance(body, dict):
        return {name: _filled(value, kept) for name, value in body.items()}
    return body


def shortcoming(request: SmokeRequest, answer: Answer, find: Find, mask: Mask) -> str:
    """What is wrong with an answer, in one sentence without a secret; empty when nothing is."""
    expected = [request.status] if isinstance(request.status, int) else request.status
    if answer.status not in expected:
        return f"expected status {' or '.join(map(str, expected))}, got {answer.status}"
    if request.maximum_seconds is not None and answer.seconds > request.maximum_seconds:
        return f"expected an answer within {request.maximum_seconds:g} s, it took {answer.seconds:.3g} s"
    if (request.matches or request.keep) and not answer.readable:
        return "expected JSON, got something else"
    matches = request.matches.items()
    mismatches = (_mismatch(answer.document, pointer, value, find, mask) for pointer, value in matches)
    missing = (_absence(answer.document, pointer, find) for pointer in request.keep.values())
    return next((reason for reason in (*mismatches, *missing) if reason), "")


def keep(request: SmokeRequest, answer: Answer, find: Find) -> dict[str, str]:
    """What later requests may use of an answer that will do."""
    found = {name: find(answer.document, pointer) for name, pointer in request.keep.items()}
    return {name: value if isinstance(value, str) else _text(value) for name, value in found.items()}


def _mismatch(document: JsonValue, pointer: str, value: JsonValue, find: Find, mask: Mask) -> str:
    absent = _absence(document, pointer, find)
    if absent:
        return absent
    found = find(document, pointer)
    if found == value and isinstance(found, bool) == isinstance(value, bool):
        return ""
    return f"expected {_shown(value, mask)} at {pointer or 'the root'}, got {_shown(found, mask)}"


def _absence(document: JsonValue, pointer: str, find: Find) -> str:
    try:
        find(document, pointer)
    except LookupError:
        return f"expected something at {pointer}, there is nothing"
    return ""


def _text(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)


def _shown(value: JsonValue, mask: Mask) -> str:
    text = mask(_text(value))
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
