import json
from datetime import UTC, datetime

import pytest
from pydantic import JsonValue

from delivery.actor import SHIPLINE
from delivery.errors import ConfigurationError
from delivery.ledger import Draft
from delivery.ledger_transfer import Imported, export_lines, import_lines
from tests.fakes.ledger import InMemoryLedger

AT = "2026-11-01T10:00:00Z"
LIVE: dict[str, JsonValue] = {
    "kind": "deployment.live",
    "at": AT,
    "body": {"promotion": "d1", "service": "api", "environment": "prod", "tier": "production", "revision": "abc"},
}
COMMITS: dict[str, JsonValue] = {
    "kind": "deployment.commits",
    "at": AT,
    "actor": {"kind": "person", "subject": "ann"},
    "body": {"deployment": "d1/api", "commits": [{"id": "abc", "committed_at": "2026-11-01T09:00:00+01:00"}]},
    "key": "commits/d1",
}
OPENED: dict[str, JsonValue] = {"kind": "incident.opened", "at": AT, "body": {"id": "i1", "caused_by": "d1"}}
RESOLVED: dict[str, JsonValue] = {"kind": "incident.resolved", "at": "2026-11-01T11:00:00Z", "body": {"id": "i1"}}


def _lines(*documents: JsonValue) -> list[str]:
    return [json.dumps(document) for document in documents]


def _problems(*lines: str | bytes) -> list[tuple[str, str]]:
    ledger = InMemoryLedger()
    with pytest.raises(ConfigurationError) as caught:
        import_lines(ledger, "shop", [*_lines(LIVE), *lines])
    assert ledger.streams() == {}
    return [(problem.where, problem.message) for problem in caught.value.problems]


def test_another_systems_history_becomes_rows() -> None:
    ledger = InMemoryLedger()

    assert import_lines(ledger, "shop", ["", *_lines(LIVE, COMMITS, OPENED, RESOLVED), "\n"]) == Imported(4, 0, 0)

    deployment = ledger.rows("deployments")[0]
    assert (deployment["id"], deployment["live_at"]) == ("d1/api", "2026-11-01T10:00:00.000000Z")
    assert ledger.rows("commits")[0]["committed_at"] == "2026-11-01T08:00:00.000000Z"
    assert ledger.rows("incidents")[0]["resolved_at"] == "2026-11-01T11:00:00.000000Z"
    first, second = list(ledger.entries("shop"))[:2]
    assert json.loads(first.content)["actor"] == {"kind": "automation", "subject": "import", "evidence": "imported"}
    assert json.loads(second.content)["actor"] == {"kind": "person", "subject": "ann", "evidence": "imported"}


def test_importing_again_appends_nothing() -> None:
    ledger = InMemoryLedger()
    import_lines(ledger, "shop", _lines(LIVE, COMMITS))

    assert import_lines(ledger, "shop", _lines(COMMITS, LIVE, OPENED)) == Imported(1, 2, 0)
    assert ledger.streams()["shop"][0] == 3


def test_what_was_exported_can_be_imported_elsewhere() -> None:
    origin, copy = InMemoryLedger(), InMemoryLedger()
    import_lines(origin, "shop", _lines(LIVE, COMMITS, OPENED, RESOLVED))
    exported = list(export_lines(origin))

    assert import_lines(copy, "shop", exported) == Imported(4, 0, 0)
    assert import_lines(copy, "shop", exported) == Imported(0, 4, 0)
    for table in ("deployments", "commits", "incidents", "running"):
        assert copy.rows(table) == origin.rows(table)


def test_what_was_exported_is_known_where_it_came_from() -> None:
    ledger = InMemoryLedger()
    body: JsonValue = LIVE["body"]
    assert isinstance(body, dict)
    ledger.append("shop", [Draft("deployment.live", body, SHIPLINE, datetime(2026, 11, 1, tzinfo=UTC))])

    assert import_lines(ledger, "shop", list(export_lines(ledger))) == Imported(0, 1, 0)


def test_evidence_cannot_be_imported() -> None:
    origin, copy = InMemoryLedger(), InMemoryLedger()
    origin.append("shop", [Draft("approval.given", {"id": "a1"}, SHIPLINE, datetime(2026, 11, 1, tzinfo=UTC))])

    assert import_lines(copy, "shop", list(export_lines(origin))) == Imported(0, 0, 1)
    assert copy.streams() == {}
    [(where, message)] = _problems(*_lines({"kind": "approval.given", "at": AT, "body": {"id": "a1"}}))
    assert where == "line 2"
    assert message.startswith("kind: 'approval.given' cannot be imported, only deployment.started, ")


def test_a_changed_export_is_refused() -> None:
    origin = InMemoryLedger()
    import_lines(origin, "shop", _lines(LIVE))
    changed = next(export_lines(origin)).replace('"abc"', '"abd"')

    assert _problems(changed) == [("line 2", "the content does not match its hash")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b'{"kind": "\xff"}', "'utf-8' codec can't decode byte 0xff in position 10: invalid start byte"),
        ("[]", "a line must be a JSON object"),
        (json.dumps(LIVE | {"colour": 1}), "colour: Extra inputs are not permitted"),
        (json.dumps(LIVE | {"at": "yesterday"}), "at: Invalid isoformat string: 'yesterday'"),
        (json.dumps(LIVE | {"at": "2026-11-01T10:00:00"}), "at: must have a time zone"),
        (json.dumps(LIVE | {"body": {"promotion": "d", "service": "a"}}), "environment: Field required"),
        (json.dumps(RESOLVED), "body.id: incident 'i1' was not opened before, here or in the ledger"),
        ('{"kind": "incident.opened", "at": "2026-11-01T10:00:00Z", "body": {"id": "i", "n": NaN}}', "NaN is no JSON"),
        (
            json.dumps({"kind": "deployment.commits", "at": AT, "body": {"deployment": "d", "commits": [{"id": "a"}]}}),
            "commits.0.committed_at: Field required",
        ),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_imported(line: str | bytes, message: str) -> None:
    assert _problems(line) == [("line 2", message)]


def test_every_bad_line_is_told() -> None:
    assert [where for where, _ in _problems("{", *_lines(LIVE), "[]")] == ["line 2", "line 4"]
