"""Closed segments: what they hold verifies, also when the database does not hold it any more."""

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest
from pydantic import JsonValue

from delivery.actor import SHIPLINE
from delivery.adapters.postgresql.detaching import detach
from delivery.adapters.postgresql.ledger import PostgresqlLedger
from delivery.adapters.segment_files import SegmentFiles
from delivery.errors import PermanentError, VerificationError
from delivery.home import Home
from delivery.ledger import Draft, Entry
from delivery.ledger_verification import verify
from delivery.segmenting import close_segments, detach_old
from delivery.segments import Segment
from tests.servers.postgresql import Database

pytestmark = pytest.mark.integration

AT = datetime(2026, 1, 1, tzinfo=UTC)
LATER = AT + timedelta(days=400)
YEAR = timedelta(days=365)


@pytest.fixture
def files(tmp_path: Path) -> SegmentFiles:
    return SegmentFiles(Home(tmp_path))


@pytest.fixture
def ledger(database: Database, files: SegmentFiles) -> Iterator[PostgresqlLedger]:
    """Seven entries, one a day."""
    made = PostgresqlLedger(database.application, segments=files)
    made.append("shop", [_draft(number) for number in range(1, 8)])
    yield made
    made.close()


def _draft(number: int) -> Draft:
    body: dict[str, JsonValue] = {
        "environment": f"dev-{number}",
        "reason": "naïve \u2028 \U0001f600 \\u0000",
        "n": 1.5e30,
    }
    return Draft("environment.held", body, SHIPLINE, AT + timedelta(days=number), f"key-{number}")


def _detach(database: Database, ledger: PostgresqlLedger, files: SegmentFiles, now: datetime = LATER) -> list[Segment]:
    return detach_old(ledger, files, partial(detach, database.owner), now, YEAR)


def _contents(database: Database) -> int:
    with psycopg.connect(database.owner) as connection:
        found = connection.execute("SELECT count(content) FROM entries").fetchone()
    assert found is not None
    return int(found[0])


def _entry(ledger: PostgresqlLedger, sequence: int) -> Entry:
    return next(ledger.entries("shop", after=sequence - 1))


def test_what_is_full_is_closed_once(ledger: PostgresqlLedger, files: SegmentFiles) -> None:
    closed = close_segments(ledger, files, length=3)

    assert [(one.first, one.last) for one in closed] == [(1, 3), (4, 6)]
    assert [one.head for one in closed] == [_entry(ledger, 3).digest, _entry(ledger, 6).digest]
    assert closed[1].previous == closed[0].head
    assert closed[1].last_at == AT + timedelta(days=6)
    assert files.segments("shop") == closed
    assert close_segments(ledger, files, length=3) == []
    assert verify(ledger, segments=files).ok


def test_old_contents_leave_the_database_and_nobody_notices(
    database: Database, ledger: PostgresqlLedger, files: SegmentFiles
) -> None:
    before, rows = list(ledger.entries("shop")), ledger.rows("holds", order="environment")
    close_segments(ledger, files, length=3)
    day = AT + YEAR + timedelta(days=3, seconds=1)

    assert [one.last for one in _detach(database, ledger, files, day - timedelta(seconds=2))] == []
    assert [one.last for one in _detach(database, ledger, files, day)] == [3]
    assert _detach(database, ledger, files, day) == []

    assert _contents(database) == 4
    for after in range(8):
        assert list(ledger.entries("shop", after)) == before[after:]
    found = verify(ledger, segments=files)
    assert (found.ok, found.rows) == (True, 7)
    ledger.rebuild()
    assert ledger.rows("holds", order="environment") == rows


def test_what_has_left_is_still_known_by_its_key_and_the_chain_goes_on(
    database: Database, ledger: PostgresqlLedger, files: SegmentFiles
) -> None:
    close_segments(ledger, files, length=3)
    before = _entry(ledger, 2)
    _detach(database, ledger, files)

    again = ledger.append("shop", [_draft(2), _draft(8)])

    assert again[0] == before
    assert again[1].sequence == 8
    assert [(one.first, one.last) for one in close_segments(ledger, files, length=2)] == [(7, 8)]
    assert verify(ledger, segments=files).ok


def test_a_segment_that_is_not_there_is_told_by_its_first_entry(
    database: Database, ledger: PostgresqlLedger, files: SegmentFiles, tmp_path: Path
) -> None:
    close_segments(ledger, files, length=3)
    _detach(database, ledger, files)
    for file in (tmp_path / "ledger" / "shop").glob("000000000004-*"):
        file.unlink()

    found = verify(ledger, segments=files).broken

    told = "reading the entries of 'shop': entry 4 is in a closed segment that is not there"
    hint = "bring its files back from a copy of the home"
    assert [(one.sequence, one.reason) for one in found] == [(4, f"{told}; {hint}")]
    with pytest.raises(VerificationError):
        ledger.rebuild()
    assert len(ledger.rows("holds")) == 7, "what was is there still"


def test_an_entry_that_was_changed_in_its_file_is_found(
    database: Database, ledger: PostgresqlLedger, files: SegmentFiles, tmp_path: Path
) -> None:
    close_segments(ledger, files, length=3)
    _detach(database, ledger, files)
    file = tmp_path / "ledger" / "shop" / "000000000001-000000000003.jsonl.gz"
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()).replace(b"dev-2", b"dev-3")))

    found = verify(ledger, segments=files).broken

    assert [(one.sequence, one.reason) for one in found] == [(2, "content does not match its hash")]


def test_a_chain_made_anew_does_not_end_at_the_heads_that_were_signed(
    database: Database, ledger: PostgresqlLedger, files: SegmentFiles
) -> None:
    """Whoever owns the database can write another chain, and has not the key."""
    close_segments(ledger, files, length=3)
    with psycopg.connect(database.admin) as connection:
        for table in ("entries", "heads", "projections"):
            connection.execute("SET session_replication_role = replica")
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
            connection.execute(f"DELETE FROM {table}".encode())
    other = PostgresqlLedger(database.application, segments=files)
    other.append("shop", [_draft(number + 1) for number in range(1, 8)])

    found = verify(other, segments=files).broken

    assert [(one.sequence, one.reason) for one in found] == [
        (3, "it is not the head of its closed segment"),
        (6, "it is not the head of its closed segment"),
    ]
    other.close()


def test_what_somebody_else_has_signed_is_no_segment(
    ledger: PostgresqlLedger, files: SegmentFiles, tmp_path: Path
) -> None:
    close_segments(ledger, files, length=3)
    manifest = tmp_path / "ledger" / "shop" / "000000000001-000000000003.json"
    manifest.write_text(manifest.read_text().replace('"last": 3', '"last": 2'))

    (found,) = verify(ledger, segments=files).broken

    assert found.reason.endswith("it is not what Shipline signed; bring it back from a copy of the home")


def test_a_chain_that_does_not_hold_is_not_closed(
    database: Database, ledger: PostgresqlLedger, files: SegmentFiles
) -> None:
    with psycopg.connect(database.admin) as connection:
        connection.execute("ALTER TABLE entries DISABLE TRIGGER ALL")
        connection.execute("UPDATE entries SET content = convert_to('{}', 'UTF8') WHERE sequence = 5")

    with pytest.raises(VerificationError) as caught:
        close_segments(ledger, files, length=3)

    assert caught.value.message == "closing a segment of 'shop': entry 5: content does not match its hash"
    assert [one.last for one in files.segments("shop")] == [3]


def test_a_segment_whose_file_was_changed_does_not_leave_the_database(
    database: Database, ledger: PostgresqlLedger, files: SegmentFiles, tmp_path: Path
) -> None:
    close_segments(ledger, files, length=3)
    file = tmp_path / "ledger" / "shop" / "000000000001-000000000003.jsonl.gz"
    file.write_bytes(file.read_bytes()[:-20])

    with pytest.raises(VerificationError):
        _detach(database, ledger, files)

    assert _contents(database) == 7


@pytest.mark.parametrize(
    "change", ["content = '{}'", "content = NULL, digest = 'other'", "content = NULL, sequence = sequence + 100"]
)
def test_nothing_but_contents_may_leave(database: Database, ledger: PostgresqlLedger, change: str) -> None:
    assert ledger.streams()
    with psycopg.connect(database.owner) as connection:
        connection.execute("SET LOCAL shipline.detaching = 'on'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="contents may only be detached"):
            connection.execute(f"UPDATE entries SET {change}".encode())


def test_the_application_may_not_let_anything_leave(
    database: Database, ledger: PostgresqlLedger, files: SegmentFiles
) -> None:
    (segment, _) = close_segments(ledger, files, length=3)

    with pytest.raises(PermanentError, match="permission denied"):
        detach(database.application, segment)
