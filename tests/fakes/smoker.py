"""A smoker that asks nobody: answers come from a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from delivery.config import Smoke, SmokeRequest
from delivery.errors import DeliveryError
from delivery.smoking import Answer, keep, question, shortcoming, title
from delivery.verification import SmokeReport, SmokeResult

Table = Mapping[tuple[str, str], tuple[int, JsonValue]]


@dataclass(slots=True)
class TableSmoker:
    """`delivery.ports.Smoker`. `answers`: method and path to status and JSON; whatever is not there is a 404."""

    answers: Table = field(default_factory=dict)
    everything: int | None = None
    """The status of every answer that is not in the table."""

    def run(self, suite: Smoke, addresses: Mapping[str, str], secret: Callable[[str], str]) -> SmokeReport:
        kept: dict[str, str] = {}
        return SmokeReport(tuple(self._result(request, addresses, kept, secret) for request in suite.requests))

    def _result(
        self, request: SmokeRequest, addresses: Mapping[str, str], kept: dict[str, str], secret: Callable[[str], str]
    ) -> SmokeResult:
        name = title(request)
        if request.service not in addresses and (request.service or len(addresses) != 1):
            return SmokeResult(name, False, 0.0, None, 0, f"{name}: no address")  # noqa: FBT003  # read as written
        try:
            asked = question(request, kept, secret)
        except (LookupError, DeliveryError) as error:
            return SmokeResult(name, False, 0.0, None, 0, f"{name}: {error.args[0]}")  # noqa: FBT003
        status, document = self.answers.get((asked.method, asked.path), (self.everything or 404, None))
        answer = Answer(status, 0.001, document)
        reason = shortcoming(request, answer, find, str)
        if not reason:
            kept |= keep(request, answer, find)
        attempts = request.retries + 1 if reason else request.repeat
        return SmokeResult(name, not reason, 0.001, status, attempts, f"{name}: {reason}" if reason else "")


def find(document: JsonValue, pointer: str) -> JsonValue:
    """A JSON pointer without escapes."""
    for part in pointer.split("/")[1:]:
        if isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            raise LookupError(pointer)
    return document
