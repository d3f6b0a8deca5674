"""The ledger as JSON Lines: written out, and another system's history read in.

`docs/reference/ledger-format.md` describes both forms of a line. Only what is measured can be
imported: an approval or a verification from a file would be evidence that nobody gave.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from delivery.actor import Actor
from delivery.artifact import digest_of
from delivery.canonical import canonical_bytes, canonical_digest
from delivery.errors import ConfigurationError, Problem
from delivery.ledger import Draft, utc_text
from delivery.ports import Ledger

_MOST_PROBLEMS = 50


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: lines that became entries, lines that were there, and lines of kinds left out."""

    appended: int
    known: int
    left_out: int


def export_lines(ledger: Ledger, streams: Collection[str] | None = None) -> Iterator[str]:
    """Every entry of these streams (default: all) as one line each, streaming, in order."""
    for stream in sorted(ledger.streams() if streams is None else streams):
        for entry in ledger.entries(stream):
            line = {
                "stream": entry.stream,
                "sequence": entry.sequence,
                "content": json.loads(entry.content),
                "previous": entry.previous,
                "digest": entry.digest,
            }
            yield json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def import_lines(ledger: Ledger, stream: str, lines: Iterable[str | bytes]) -> Imported:
    """Append every line to one stream, all in one transaction; the same lines again append nothing.

    ConfigurationError with a problem per bad line, and nothing appended.
    """
    incidents = {str(row["id"]) for row in ledger.rows("incidents", project=stream)}
    reading = _Reading(incidents)
    for number, line in enumerate(lines, 1):
        if line.strip():
            reading.read(number, line)
    reading.refuse_problems()
    before = ledger.streams().get(stream, (0, ""))[0]
    there = {entry.digest for entry in ledger.entries(stream)} if reading.digests else set()
    drafts = [draft for draft in reading.drafts if reading.digests.get(str(draft.idempotency_key)) not in there]
    appended = {entry.sequence for entry in ledger.append(stream, drafts) if entry.sequence > before}
    return Imported(len(appended), len(reading.drafts) - len(appended), reading.left_out)


class _Body(BaseModel):
    """Fields that are checked; others are kept as they are."""

    model_config = ConfigDict(extra="allow", strict=True)


def _moment(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("must have a time zone")
    return utc_text(moment)


Moment = Annotated[str, AfterValidator(_moment)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]


class _Deployment(_Body):
    promotion: Text
    service: Text
    environment: Text
    tier: Literal["development", "testing", "staging", "production"] | None = None
    kind: Literal["change", "rollback", "hotfix", "config", "redeploy"] | None = None
    planned: bool | None = None
    revision: str | None = None
    previous: str | None = None
    result: str | None = None
    rollback_of: str | None = None
    caused_by_incident: str | None = None
    started_at: Moment | None = None
    exposed_at: Moment | None = None
    live_at: Moment | None = None
    restored_at: Moment | None = None
    finished_at: Moment | None = None


class _Commit(_Body):
    id: Text
    committed_at: Moment
    author: str | None = None
    parents: int | list[str] | None = None


class _Commits(_Body):
    deployment: Text
    commits: list[_Commit]


class _Incident(_Body):
    id: Text
    environment: str | None = None
    service: str | None = None
    caused_by: str | None = None
    opened_at: Moment | None = None
    mitigated_at: Moment | None = None
    resolved_at: Moment | None = None


_BODIES: dict[str, type[_Body]] = {
    "deployment.started": _Deployment,
    "deployment.exposed": _Deployment,
    "deployment.live": _Deployment,
    "deployment.restored": _Deployment,
    "deployment.finished": _Deployment,
    "deployment.commits": _Commits,
    "incident.opened": _Incident,
    "incident.mitigated": _Incident,
    "incident.resolved": _Incident,
}


class _Actor(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    kind: Literal["person", "automation", "local-user"] = "automation"
    subject: Text = "import"


class _Line(BaseModel):
    """A fact as another system tells it, or the content of an exported entry."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Text
    at: Moment
    actor: _Actor = _Actor()
    body: dict[str, JsonValue]
    key: Text | None = None


class _Exported(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    stream: str
    sequence: int
    content: dict[str, JsonValue]
    previous: str
    digest: str

    def line(self) -> JsonValue:
        """Its content in the other form; ValueError when it was changed since."""
        if digest_of(self.previous.encode() + canonical_bytes(self.content)) != self.digest:
            raise ValueError("the content does not match its hash")
        return {name: self.content[name] for name in ("kind", "at", "actor", "body", "key") if name in self.content}


class _Reading:
    """Lines read so far: drafts, and every problem found."""

    def __init__(self, incidents: set[str]) -> None:
        self.drafts: list[Draft] = []
        self.digests: dict[str, str] = {}
        """By the key made for an exported entry that had none: the entry's own digest."""
        self.left_out = 0
        self._incidents = incidents
        self._problems: list[Problem] = []

    def read(self, number: int, text: str | bytes) -> None:
        """One line; what is wrong with it is kept for `refuse_problems`."""
        try:
            self._read(json.loads(text, parse_constant=_refuse_constant))
        except ValidationError as error:
            for one in error.errors(include_url=False, include_input=False, include_context=False):
                place = ".".join(str(part) for part in one["loc"])
                self._add(number, f"{place}: {one['msg'].removeprefix('Value error, ')}".removeprefix(": "))
        except ValueError as error:  # also what is not JSON, and not UTF-8
            self._add(number, str(error))

    def refuse_problems(self) -> None:
        """ConfigurationError when any line was bad."""
        if self._problems:
            count = len(self._problems)
            raise ConfigurationError(
                f"importing into the ledger: {count} problem{'s' if count > 1 else ''}, nothing was imported",
                hint=self._problems[0].message,
                where=self._problems[0].where,
                problems=tuple(self._problems[:_MOST_PROBLEMS]),
            )

    def _read(self, document: JsonValue) -> None:
        if not isinstance(document, dict):
            raise ValueError("a line must be a JSON object")  # noqa: TRY004  # every bad line is a ValueError here
        exported = _Exported.model_validate(document) if "content" in document else None
        line = _Line.model_validate(exported.line() if exported else document)
        model = _BODIES.get(line.kind)
        if model is None and exported:
            self.left_out += 1
            return
        if model is None:
            raise ValueError(f"kind: '{line.kind}' cannot be imported, only {', '.join(_BODIES)}")
        body = model.model_validate(line.body).model_dump(exclude_unset=True)
        self._know_incident(line.kind, body)
        key = line.key or f"import:{exported.digest if exported else canonical_digest([line.kind, line.at, body])}"
        if exported and line.key is None:
            self.digests[key] = exported.digest
        actor = Actor(line.actor.kind, line.actor.subject, "imported")
        self.drafts.append(Draft(line.kind, body, actor, datetime.fromisoformat(line.at), key))

    def _know_incident(self, kind: str, body: dict[str, JsonValue]) -> None:
        """Metrics need to know when an incident began."""
        if kind == "incident.opened":
            self._incidents.add(str(body["id"]))
        elif kind.startswith("incident.") and body["id"] not in self._incidents:
            raise ValueError(f"body.id: incident '{body['id']}' was not opened before, here or in the ledger")

    def _add(self, number: int, message: str) -> None:
        self._problems.append(Problem(message, where=f"line {number}"))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
