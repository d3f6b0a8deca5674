import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from pydantic import JsonValue

from delivery.actor import SHIPLINE
from delivery.adapters.postgresql.ledger import PostgresqlLedger
from delivery.adapters.postgresql.operations import PostgresqlOperations
from delivery.errors import PermanentError, StaleFenceError
from delivery.ledger import GENESIS, Draft, Entry, breaks
from delivery.ledger_verification import verify
from delivery.ports import Guard, Ledger, Operations
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.operations import InMemoryOperations
from tests.servers.postgresql import Database

Ports = tuple[Ledger, Operations]
AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture(params=["fake", pytest.param("postgresql", marks=pytest.mark.integration)])
def ports(request: pytest.FixtureRequest) -> Iterator[Ports]:
    if request.param == "fake":
        in_memory = InMemoryOperations()
        yield InMemoryLedger(in_memory), in_memory
        return
    database: Database = request.getfixturevalue("database")
    ledger, operations = PostgresqlLedger(database.application, 10), PostgresqlOperations(database.application)
    yield ledger, operations
    ledger.close()
    operations.close()


@pytest.fixture
def ledger(ports: Ports) -> Ledger:
    return ports[0]


@pytest.fixture
def operations(ports: Ports) -> Operations:
    return ports[1]


@pytest.fixture
def stored(database: Database) -> Iterator[PostgresqlLedger]:
    """The real one, with a few entries."""
    ledger = PostgresqlLedger(database.application)
    ledger.append("shop", [_requested(f"p{number}") for number in range(1, 6)])
    yield ledger
    ledger.close()


def _draft(kind: str, key: str | None = None, **body: JsonValue) -> Draft:
    return Draft(kind, body, SHIPLINE, AT, key)


def _requested(promotion: str, key: str | None = None) -> Draft:
    return _draft("promotion.requested", key, id=promotion, environment="dev", release="sha256:" + "1" * 64)


def _moved(promotion: str, phase: str, key: str | None = None) -> Draft:
    return _draft("promotion.moved", key, id=promotion, phase=phase, because=phase.lower())


def _effect(promotion: str, number: int) -> Draft:
    return _draft("effect.intended", promotion=promotion, action=f"apply-{number}", number=number)


def _sequences(entries: Sequence[Entry]) -> list[int]:
    return [entry.sequence for entry in entries]


def test_entries_come_back_as_they_were_appended(ledger: Ledger) -> None:
    first = ledger.append("shop", [_requested("p1"), _moved("p1", "Judging")])
    second = ledger.append("shop", [_moved("p1", "RollingOut")])

    assert _sequences(first) == [1, 2]
    assert first[0].previous == GENESIS
    assert list(ledger.entries("shop")) == [*first, *second]
    assert list(ledger.entries("shop", after=2)) == second
    assert breaks(ledger.entries("shop"), ledger.streams()["shop"]) == []


def test_many_entries_in_one_append_stay_in_order(ledger: Ledger) -> None:
    entries = ledger.append("shop", [_effect("p1", number) for number in range(1, 2501)])

    assert _sequences(entries) == list(range(1, 2501))
    assert list(ledger.entries("shop")) == entries
    assert len(ledger.rows("effects", promotion="p1")) == 2500


def test_streams_do_not_meet(ledger: Ledger) -> None:
    ledger.append("shop", [_requested("same-id")])
    ledger.append("blog", [_moved("same-id", "Judging")])

    assert {stream: head[0] for stream, head in ledger.streams().items()} == {"blog": 1, "shop": 1}
    assert [row["phase"] for row in ledger.rows("promotions", project="shop")] == ["Requested"]


def test_a_stream_that_does_not_exist_is_empty(ledger: Ledger) -> None:
    assert list(ledger.entries("nothing")) == []
    assert ledger.streams() == {}
    assert ledger.append("nothing", []) == []
    assert ledger.streams() == {}


def test_the_same_key_has_one_effect(ledger: Ledger) -> None:
    first = ledger.append("shop", [_requested("p1", key="request-1")])
    for _ in range(4):
        again = ledger.append("shop", [_moved("p1", "Judging", key="request-1"), _moved("p1", "Waiting", key="move-1")])

    assert again[0] == first[0]
    assert _sequences(again) == [1, 2]
    assert ledger.streams()["shop"][0] == 2
    assert ledger.rows("promotions")[0]["phase"] == "Waiting"


def test_a_key_twice_in_one_append_has_one_effect(ledger: Ledger) -> None:
    for stream in ("shop", "shop", "shop"):
        entries = ledger.append(stream, [_requested("p1", key="k"), _moved("p1", "Judging"), _requested("p2", key="k")])
        assert entries[0] == entries[2]

    assert [row["id"] for row in ledger.rows("promotions")] == ["p1"]


def test_keys_of_two_streams_do_not_meet(ledger: Ledger) -> None:
    ledger.append("shop", [_requested("p1", key="k")])
    ledger.append("blog", [_requested("p1", key="k")])

    assert sorted(ledger.streams()) == ["blog", "shop"]


def test_concurrent_appends_keep_the_chain_whole(ledger: Ledger) -> None:
    def append(writer: int) -> None:
        for number in range(10):
            ledger.append("shop", [_effect(f"p{writer}", number), _effect(f"q{writer}", number)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(8)))

    assert ledger.streams()["shop"][0] == 160
    assert breaks(ledger.entries("shop"), ledger.streams()["shop"]) == []
    assert len(ledger.rows("effects")) == 160


def test_known_and_new_keys_in_one_append_of_many(ledger: Ledger) -> None:
    """Also where the known ones come after a first statement's worth of new ones."""
    known = ledger.append("shop", [_draft("effect.intended", "k", promotion="p1", action="first")])
    drafts = [_draft("effect.intended", f"k{n}", promotion="p1", action=f"a{n}") for n in range(70)]
    again = _draft("effect.intended", "k", promotion="p1", action="first")

    for _ in range(2):
        entries = ledger.append("shop", [*drafts, again])
        assert [*known, *entries] == [*ledger.entries("shop"), *known]


def test_the_same_key_from_eight_at_once_has_one_effect(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ledger.append("shop", [_requested("p1", key="once")]), range(8)))

    assert ledger.streams()["shop"][0] == 1
    assert {answer[0].digest for answer in answers} == {ledger.streams()["shop"][1]}


def test_an_incomplete_body_appends_nothing(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.append("shop", [_requested("p1")])
    with pytest.raises(PermanentError, match=r"appending promotion\.moved to 'shop': its body is not complete: 'id'"):
        ledger.append("shop", [_requested("p2"), _draft("promotion.moved", phase="Judging")])

    assert ledger.streams()["shop"][0] == 3
    assert len(ledger.rows("promotions")) == 1


def test_what_json_cannot_say_appends_nothing(ledger: Ledger) -> None:
    with pytest.raises(PermanentError):
        ledger.append("shop", [_draft("promotion.requested", id="p1", weight=float("nan"))])

    assert ledger.streams() == {}


def test_text_that_the_database_has_no_sign_for_stays_in_the_entry(ledger: Ledger) -> None:
    because = "a\0b\\u0000 \\\0 ä 😀"
    ledger.append("shop", [_draft("promotion.requested", id="p1", because=because)])

    entry = next(ledger.entries("shop"))
    assert json.loads(entry.content)["body"]["because"] == because
    assert ledger.rows("promotions")[0]["because"] == because.replace("\0", "\ufffd")


def test_kinds_of_the_future_are_kept(ledger: Ledger) -> None:
    ledger.append("shop", [_draft("moon.landed", crater="Tycho")])

    assert json.loads(next(ledger.entries("shop")).content)["body"] == {"crater": "Tycho"}


def test_rows_are_found_by_equal_fields(ledger: Ledger) -> None:
    ledger.append("shop", [_requested("p1"), _requested("p2"), _requested("p3"), _moved("p2", "Judging")])
    ledger.append("shop", [_draft("promotion.moved", id="p3", weight=5, canary=True, labels={"a": [1, 2]})])

    def ids(**equal: JsonValue) -> list[JsonValue]:
        return [row["id"] for row in ledger.rows("promotions", None, None, **equal)]

    assert ids() == ["p1", "p2", "p3"]
    assert ids(phase="Requested") == ["p1", "p3"]
    assert ids(phase=["Judging", "Waiting"]) == ["p2"]
    assert ids(phase=["Judging", "Requested"], id=["p3", "p2"]) == ["p2", "p3"]
    assert ids(phase=[]) == []
    assert ids(phase="requested") == []
    assert ids(weight=5) == ["p3"]
    assert ids(weight="5") == []
    assert ids(weight=None) == ["p1", "p2"]
    assert ids(canary=True) == ["p3"]
    assert ids(canary=1) == []
    assert ids(labels={"a": [1, 2]}) == ["p3"]
    assert ids(labels={"a": [1]}) == []
    assert ids(weight=[None, 5]) == ["p1", "p2", "p3"]
    assert ledger.rows("incidents") == []


def test_rows_are_ordered_by_a_field_and_missing_ones_come_last(ledger: Ledger) -> None:
    weights: list[JsonValue] = [10, 9, 100, None, 10]
    ledger.append("shop", [_draft("promotion.requested", id=f"p{n}", weight=one) for n, one in enumerate(weights)])
    ledger.append("shop", [_draft("promotion.requested", id="p5")])

    def ids(order: str | None, limit: int | None = None) -> list[JsonValue]:
        return [row["id"] for row in ledger.rows("promotions", order=order, limit=limit)]

    assert ids("weight") == ["p1", "p0", "p4", "p2", "p3", "p5"]
    assert ids("-weight") == ["p2", "p4", "p0", "p1", "p5", "p3"]
    assert ids("-weight", limit=2) == ["p2", "p4"]
    assert ids(None, limit=1) == ["p0"]
    assert ids("-id") == ["p5", "p4", "p3", "p2", "p1", "p0"]


def test_changing_an_answer_changes_nothing(ledger: Ledger) -> None:
    ledger.append("shop", [_draft("promotion.requested", id="p1", labels={"a": 1})])
    ledger.rows("promotions")[0]["labels"] = "gone"

    assert ledger.rows("promotions")[0]["labels"] == {"a": 1}


def test_rebuilding_changes_nothing(ledger: Ledger) -> None:
    tables = ("promotions", "effects", "deployments", "running", "incidents", "holds")
    ledger.append("shop", [_requested("p1"), _moved("p1", "Judging"), *[_effect("p1", n) for n in range(1500)]])
    ledger.append("blog", [_requested("p1"), _draft("incident.opened", id="i1"), _draft("incident.resolved", id="i1")])
    ledger.append("shop", [_draft("deployment.live", promotion="p1", service="api", environment="dev", revision="r")])
    ledger.append("shop", [_draft("environment.held", environment="dev", reason="freeze")])
    before = {table: ledger.rows(table) for table in tables}

    ledger.rebuild()

    assert {table: ledger.rows(table) for table in tables} == before
    assert verify(ledger).ok


def test_a_guarded_append_needs_the_lease(ledger: Ledger, operations: Operations) -> None:
    lease = operations.acquire("lane:shop/dev/default", "flow-1", timedelta(minutes=1))
    assert lease is not None
    ledger.append("shop", [_requested("p1")], Guard(lease=lease))
    taken = operations.hand_over(lease, "flow-2", timedelta(minutes=1))
    assert taken is not None

    with pytest.raises(StaleFenceError, match="lease 'lane:shop/dev/default' is no longer held"):
        ledger.append("shop", [_requested("p2")], Guard(lease=lease))
    ledger.append("shop", [_requested("p3")], Guard(lease=taken))
    operations.release(taken)
    with pytest.raises(StaleFenceError):
        ledger.append("shop", [_requested("p4")], Guard(lease=taken))

    assert [row["id"] for row in ledger.rows("promotions")] == ["p1", "p3"]


def test_a_guarded_append_told_again_gives_what_is_there_however_often(ledger: Ledger, operations: Operations) -> None:
    """The driver drops what is prepared on its connection after each rollback, once it has prepared something."""
    lease = operations.acquire("lane", "me", timedelta(minutes=1))
    guard = Guard(lease=lease)
    first = [ledger.append("shop", [_draft("thing.done", f"k{number}")], guard)[0] for number in range(8)]
    again = [ledger.append("shop", [_draft("thing.done", f"k{number}")], guard)[0] for number in range(8)]
    assert again == first
    with pytest.raises(StaleFenceError):
        ledger.append("shop", [_draft("thing.done", "k9")], Guard(promotion="p0", phases=("Requested",)))
    assert ledger.append("shop", [_draft("thing.done", "k3")], guard) == [first[3]]
    assert [one.sequence for one in ledger.entries("shop")] == list(range(1, 9))


def test_a_guarded_append_needs_the_phase(ledger: Ledger) -> None:
    guard = Guard(promotion="p1", phases=("Requested", "Queued"))
    with pytest.raises(StaleFenceError, match="promotion p1 is None"):
        ledger.append("shop", [_moved("p1", "Judging")], guard)
    ledger.append("shop", [_requested("p1")])
    ledger.append("shop", [_moved("p1", "Judging")], guard)
    with pytest.raises(StaleFenceError, match="promotion p1 is Judging"):
        ledger.append("shop", [_moved("p1", "Judging")], guard)

    assert ledger.streams()["shop"][0] == 2


def test_appending_goes_on_after_refusals(ledger: Ledger) -> None:
    """A rollback makes the driver drop what it has prepared."""
    ledger.append("shop", [_requested("p1")])
    for number in range(8):
        with pytest.raises(StaleFenceError):
            ledger.append("shop", [_moved("p1", "Judging")], Guard(promotion="p1", phases=("Queued",)))
        if number % 2:
            ledger.append("shop", [_effect("p1", number)])

    assert ledger.streams()["shop"][0] == 5
    assert breaks(ledger.entries("shop"), ledger.streams()["shop"]) == []


def test_one_of_two_racing_for_a_phase_wins(ledger: Ledger) -> None:
    ledger.append("shop", [_requested("p1")])

    def move(number: int) -> bool:
        try:
            ledger.append("shop", [_moved("p1", f"Taken-{number}")], Guard(promotion="p1", phases=("Requested",)))
        except StaleFenceError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(move, range(8))) == 1


def test_verify_tells_how_many_entries_are_whole(ledger: Ledger) -> None:
    ledger.append("shop", [_requested("p1"), _moved("p1", "Judging")])
    ledger.append("blog", [_requested("p1")])

    verification = verify(ledger)

    assert (verification.ok, verification.rows, verification.broken) == (True, 3, ())
    assert verification.heads == ledger.streams()


@pytest.mark.integration
def test_the_database_refuses_to_change_entries(stored: PostgresqlLedger, database: Database) -> None:
    """Whoever asks, its owner and the superuser too, and also where no row would be touched."""
    for url in (database.application, database.owner, database.admin):
        for statement in (
            "UPDATE entries SET content = content",
            "UPDATE entries SET digest = '' WHERE false",
            "DELETE FROM entries WHERE sequence = 1",
            "TRUNCATE entries",
            "SET session_replication_role = replica; DELETE FROM entries",
        ):
            with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())

    assert verify(stored).rows == 5


@pytest.mark.integration
@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        (
            "UPDATE entries SET content = content || '\\x20' WHERE sequence = 3",
            [(3, "content does not match its hash")],
        ),
        (
            "DELETE FROM entries WHERE sequence = 3",
            [(3, "expected entry 3, found 4"), (4, "does not follow the entry before it")],
        ),
        ("DELETE FROM entries WHERE sequence = 5", [(5, "the chain does not end at the recorded head")]),
        ("DELETE FROM entries", [(5, "the chain does not end at the recorded head")]),
        (
            """UPDATE entries SET sequence = -1 - sequence WHERE sequence IN (2, 3);
               UPDATE entries SET sequence = CASE sequence WHEN -3 THEN 3 ELSE 2 END WHERE sequence < 0""",
            None,
        ),
        (
            """UPDATE entries AS one SET content = other.content, digest = other.digest, previous = other.previous
               FROM entries AS other WHERE one.sequence + other.sequence = 5 AND one.sequence IN (2, 3)""",
            [
                (2, "does not follow the entry before it"),
                (3, "does not follow the entry before it"),
                (4, "does not follow the entry before it"),
            ],
        ),
        ("DELETE FROM heads", [(1, "there are entries beyond the recorded head 0")]),
        ("UPDATE heads SET sequence = 4, digest = 'x'", None),
        (
            "INSERT INTO entries SELECT stream, 6, NULL, content, digest, digest FROM entries WHERE sequence = 5",
            [(6, "there are entries beyond the recorded head 5")],
        ),
    ],
)
def test_verify_finds_what_a_superuser_did(
    stored: PostgresqlLedger, database: Database, tampering: str, found: list[tuple[int, str]] | None
) -> None:
    with psycopg.connect(database.admin) as connection:
        connection.execute("ALTER TABLE entries DISABLE TRIGGER ALL")
        connection.execute("ALTER TABLE entries DROP CONSTRAINT entries_sequence_check")
        connection.execute(tampering.encode())

    verification = verify(stored)

    assert not verification.ok
    assert {broken.stream for broken in verification.broken} == {"shop"}
    if found is not None:
        assert [(broken.sequence, broken.reason) for broken in verification.broken] == found


@pytest.mark.integration
def test_the_application_cannot_change_the_schema(database: Database) -> None:
    with psycopg.connect(database.application) as connection:
        for statement in ("CREATE TABLE mine (a int)", "DROP TABLE entries", "ALTER TABLE entries DISABLE TRIGGER ALL"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement.encode())


@pytest.mark.integration
def test_two_processes_writing_in_turn_follow_each_other(database: Database) -> None:
    """Each believes to know the head, and each is wrong every time."""
    one, other = PostgresqlLedger(database.application), PostgresqlLedger(database.application)
    turns: list[Callable[[int], list[Entry]]] = [
        lambda number: one.append("shop", [_effect("p1", number)]),
        lambda number: other.append("shop", [_effect("p2", number)]),
    ]
    for ledger_turns in ([0, 0, 0, 0], [1, 0, 1, 0, 1], [1, 1, 1, 1], [0, 0]):
        for number, turn in enumerate(ledger_turns):
            turns[turn](number)

    assert breaks(one.entries("shop"), other.streams()["shop"]) == []
    assert one.streams()["shop"][0] == 15
    one.close()
    other.close()


def test_a_body_that_names_another_project_is_in_neither(ledger: Ledger) -> None:
    """Whoever may write one project's stream does not write another's rows."""
    ledger.append("shop", [_draft("promotion.requested", id="p1", environment="dev", project="blog")])

    assert ledger.rows("promotions", project="shop") == ledger.rows("promotions", project="blog") == []
