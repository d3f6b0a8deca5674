"""Sight: what has happened on a ground since a moment, read from its tables a hundred times a second."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg

from delivery.adapters.postgresql.urls import read_urls, with_database
from delivery.home import Home
from delivery.promotion import FINAL

_NEW_ENTRIES = """
SELECT e.stream, e.sequence, e.content FROM entries e
JOIN unnest(%s::text[], %s::bigint[]) AS seen(stream, sequence) ON e.stream = seen.stream AND e.sequence > seen.sequence
ORDER BY e.stream, e.sequence
"""
_NEW_DOCUMENTS = """
SELECT table_name, key, project, document FROM documents
WHERE number > %s AND table_name IN ('runs', 'steps') ORDER BY number
"""
_FORMS = "SELECT id::text FROM flow_run WHERE state_type = 'PAUSED'"
_UNENDED = "SELECT name, state_type::text FROM flow_run WHERE state_type IN ('PENDING', 'RUNNING', 'CANCELLING')"
_PHASES = {
    "Judging": "judging",
    "Waiting": "waiting",
    "RollingOut": "rolling out",
    "Verifying": "verifying",
    "RollingBack": "rolling back",
    "Failed": "failed",
}
_KINDS = {
    "artifact.built": "artifact built",
    "release.created": "release created",
    "deployment.started": "deployment started",
    "release.verified": "verified",
    "approval.given": "approval given",
    "incident.opened": "incident opened",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that has happened, in which project and to which run or promotion."""

    name: str
    project: str
    subject: str = ""


@dataclass(slots=True)
class Sight:
    """Looks from when it was made. What cannot be asked at the moment is seen later."""

    home: Home
    streams: tuple[str, ...]
    facts: list[Fact] = field(default_factory=list)
    promotions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id: the requests that it saw."""
    waiting: dict[str, str] = field(default_factory=dict)
    """By promotion that waits for a person: the flow run that shows the form."""
    _sequences: dict[str, int] = field(default_factory=dict)
    _number: int = 0
    _connections: dict[str, psycopg.Connection[Any]] = field(default_factory=dict)

    def begin(self) -> None:
        """What is there now is the past."""
        rows = self.rows("shipline", "SELECT stream, sequence FROM heads")
        self._sequences = dict.fromkeys(self.streams, 0) | dict(rows)
        ((self._number,),) = self.rows("shipline", "SELECT coalesce(max(number), 0) FROM documents")

    def look(self, *, forms: bool = False) -> None:
        """See what is new; `forms` also asks Prefect's tables, which forms are shown."""
        with suppress(psycopg.Error):
            self._see_entries()
            self._see_documents()
            if forms and self.waiting:
                shown = {row[0] for row in self.rows("prefect", _FORMS)}
                for promotion, flow_run in self.waiting.items():
                    if flow_run in shown:
                        self._add(Fact("form shown", self.promotions[promotion]["project"], promotion))

    def has(self, name: str, project: str) -> Fact | None:
        """The first fact of that name there."""
        return next((one for one in self.facts if (one.name, one.project) == (name, project)), None)

    def unended(self) -> list[str]:
        """Flow runs that Prefect shows as being worked on."""
        return [f"{name} is {state}" for name, state in self.rows("prefect", _UNENDED)]

    def open_work(self) -> list[str]:
        """Runs and promotions, of any time, that have not ended."""
        phases = [phase.value for phase in FINAL]
        promotions = "SELECT key FROM projections WHERE table_name = 'promotions' AND document->>'phase' <> ALL(%s)"
        runs = "SELECT key FROM documents WHERE table_name = 'runs' AND document->>'verified_at' IS NULL"
        return [row[0] for row in (*self.rows("shipline", promotions, phases), *self.rows("shipline", runs))]

    def errored(self) -> list[tuple[str, str, str]]:
        """Everything that waits for somebody to say `retry`: table, id, why."""
        promotions = (
            "SELECT 'promotions', key, document->>'because' FROM projections "
            "WHERE table_name = 'promotions' AND document->>'phase' = 'Errored'"
        )
        runs = (
            "SELECT 'runs', key, document->>'problem' FROM documents "
            "WHERE table_name = 'runs' AND document->>'state' = 'Errored'"
        )
        return [*self.rows("shipline", promotions), *self.rows("shipline", runs)]

    def rows(self, database: str, query: str, *given: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401  # whatever SQL takes
        """Rows as PostgreSQL's superuser; a connection that broke is made anew at the next question."""
        try:
            return self._connected(database).execute(query, given).fetchall()
        except psycopg.Error:
            self.close()
            raise

    def close(self) -> None:
        """Give the connections back."""
        while self._connections:
            self._connections.popitem()[1].close()

    def _connected(self, database: str) -> psycopg.Connection[Any]:
        if database not in self._connections:
            url = with_database(read_urls(self.home).admin, database)
            self._connections[database] = psycopg.connect(url, autocommit=True, connect_timeout=3)
        return self._connections[database]

    def _see_entries(self) -> None:
        streams, sequences = list(self._sequences), list(self._sequences.values())
        for stream, sequence, content in self.rows("shipline", _NEW_ENTRIES, streams, sequences):
            self._sequences[stream] = sequence
            told = json.loads(bytes(content))
            for name, subject in self._read(stream, told["kind"], told["body"]):
                self._add(Fact(name, stream, subject))

    def _read(self, project: str, kind: str, body: dict[str, Any]) -> Iterator[tuple[str, str]]:
        subject = str(body.get("promotion") or body.get("id") or "")
        rollback = "rollback: " if self.promotions.get(subject, {}).get("kind") == "rollback" else ""
        if kind == "promotion.requested":
            self.promotions[subject] = {**body, "project": project}
            yield ("rollback requested" if body["kind"] == "rollback" else "promotion requested"), subject
        elif kind == "promotion.moved" and body["phase"] in _PHASES:
            self._see_waiting(subject, body)
            name = rollback + _PHASES[body["phase"]]
            again = Fact(name, project, subject) in self.facts
            yield (f"{name} again" if again else name), subject
        elif kind.startswith("effect."):
            yield f"{rollback}{body['action']} {kind.removeprefix('effect.')}", subject
        elif kind in _KINDS:
            yield rollback + _KINDS[kind], subject

    def _see_waiting(self, promotion: str, body: dict[str, Any]) -> None:
        self.waiting.pop(promotion, None)
        if body["phase"] == "Waiting" and body.get("flow_run"):
            self.waiting[promotion] = body["flow_run"]

    def _see_documents(self) -> None:
        for table, key, project, document in self.rows("shipline", _NEW_DOCUMENTS, self._number):
            run = key.partition("/")[0]
            if table == "runs":
                self._add(Fact("run requested", project, run))
                if document["state"] != "Queued":
                    self._add(Fact("run taken up", project, run))
            else:
                self._add(Fact("step started", project, run))
                if document["state"] != "Running":
                    self._add(Fact("step ended", project, run))

    def _add(self, fact: Fact) -> None:
        if fact not in self.facts:
            self.facts.append(fact)
