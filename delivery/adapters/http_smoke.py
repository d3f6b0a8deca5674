"""The smoke suite over HTTP: what `delivery.smoking` decides, asked with httpx."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import httpx
import jsonpointer
from pydantic import JsonValue

from delivery.config import Smoke, SmokeRequest
from delivery.errors import DeliveryError
from delivery.masking import mask_text
from delivery.smoking import Answer, Question, keep, question, shortcoming, title
from delivery.verification import SmokeReport, SmokeResult

_MAXIMUM_BYTES = 1024 * 1024
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0


class _UnusableAnswerError(Exception):
    """There was no answer, or none that can be read."""


@dataclass(slots=True)
class _Asking:
    """One request's tries so far."""

    attempts: int = 0
    seconds: float = 0.0
    status: int | None = None
    kept: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Suite:
    """What the requests of one run share."""

    client: httpx.Client
    addresses: Mapping[str, str]
    secret: Callable[[str], str]
    kept: dict[str, str] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    """All that were resolved: an answer may show the secret of an earlier request."""

    def resolve(self, reference: str) -> str:
        self.secrets.append(self.secret(reference))
        return self.secrets[-1]

    def mask(self, text: str) -> str:
        return mask_text(text, self.secrets)


class HttpSmoker:
    """`delivery.ports.Smoker`. Redirects are answers like others, and no proxy is used."""

    def run(self, suite: Smoke, addresses: Mapping[str, str], secret: Callable[[str], str]) -> SmokeReport:
        with httpx.Client(trust_env=False, headers={"Accept-Encoding": "identity"}) as client:
            running = _Suite(client, addresses, secret)
            return SmokeReport(tuple(_result(running, request) for request in suite.requests))


def _result(suite: _Suite, request: SmokeRequest) -> SmokeResult:
    asking = _Asking()
    reason = _asked(suite, request, asking)
    suite.kept |= asking.kept
    told = suite.mask(f"{title(request)}: {reason}") if reason else ""
    return SmokeResult(title(request), not reason, asking.seconds, asking.status, asking.attempts, told)


def _asked(suite: _Suite, request: SmokeRequest, asking: _Asking) -> str:
    """Why a request did not pass; empty when it did."""
    try:
        address = _address(request, suite.addresses)
        asked = question(request, suite.kept, suite.resolve)
    except LookupError as error:
        return str(error.args[0])
    except DeliveryError as error:
        return error.message
    retries = request.retries
    for _ in range(request.repeat):
        while reason := _try(suite, request, address, asked, asking):
            if retries == 0:
                return reason
            time.sleep(min(_FIRST_PAUSE_SECONDS * 2 ** (request.retries - retries), _LONGEST_PAUSE_SECONDS))
            retries -= 1
    return ""


def _address(request: SmokeRequest, addresses: Mapping[str, str]) -> str:
    if request.service is None and len(addresses) == 1:
        return next(iter(addresses.values()))
    if request.service is not None and request.service in addresses:
        return addresses[request.service]
    known = ", ".join(sorted(addresses)) or "none"
    wanted = f"service {request.service} has no address" if request.service else "it does not say which service to ask"
    raise LookupError(f"{wanted} (there is {known})")


def _try(suite: _Suite, request: SmokeRequest, address: str, asked: Question, asking: _Asking) -> str:
    asking.attempts += 1
    began = time.monotonic()
    try:
        answer = _answer(suite.client, request, address, asked, began)
    except _UnusableAnswerError as error:
        asking.seconds, asking.status = time.monotonic() - began, None
        return str(error)
    asking.seconds, asking.status = answer.seconds, answer.status
    reason = shortcoming(request, answer, _find, suite.mask)
    if not reason:
        asking.kept = keep(request, answer, _find)
    return reason


def _answer(client: httpx.Client, request: SmokeRequest, address: str, asked: Question, began: float) -> Answer:
    """Ask once; the timeout is for the whole answer, and what is read of it is bounded."""
    deadline = began + request.timeout_seconds
    content = bytearray()
    try:
        with client.stream(
            asked.method,
            f"{address}/{asked.path.lstrip('/')}",
            headers=asked.headers,
            json=asked.body,
            timeout=request.timeout_seconds,
        ) as answer:
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > _MAXIMUM_BYTES:
                    raise _UnusableAnswerError(f"expected at most {_MAXIMUM_BYTES} bytes, got more")
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("too slow")
            return _read(answer.status_code, time.monotonic() - began, bytes(content))
    except httpx.TimeoutException as error:
        raise _UnusableAnswerError(f"no answer within {request.timeout_seconds:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise _UnusableAnswerError(f"no answer: {_cause(error)}") from error


def _read(status: int, seconds: float, content: bytes) -> Answer:
    try:
        return Answer(status, seconds, json.loads(content))
    except (ValueError, RecursionError):
        return Answer(status, seconds, readable=False)


def _cause(error: Exception) -> str:
    return (str(error) or type(error).__name__).lower()


def _find(document: JsonValue, pointer: str) -> JsonValue:
    try:
        return cast("JsonValue", jsonpointer.resolve_pointer(document, pointer))
    except jsonpointer.JsonPointerException as error:
        raise LookupError(pointer) from error
