"""What must not get slower with a year of rows is found by an index, whatever SQLAlchemy makes of our questions."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest

from delivery.adapters.postgresql.ledger import PostgresqlLedger
from delivery.adapters.postgresql.operations import PostgresqlOperations
from delivery.adapters.processes import wait_until
from tests.servers.postgresql import Database, PostgresqlServer

pytestmark = pytest.mark.integration

_MANY = """
INSERT INTO documents (table_name, key, project, document)
    SELECT 'runs', 'run-' || n, 'shop', jsonb_build_object('id', n, 'verified_at', 'then')
    FROM generate_series(1, 5000) n;
INSERT INTO documents (table_name, key, project, document)
    SELECT 'steps', 'run-' || n || '/unit', 'shop', jsonb_build_object('run', n) FROM generate_series(1, 5000) n;
INSERT INTO leases SELECT 'run:' || n, 'holder', 1, now() - interval '1 day' FROM generate_series(1, 5000) n;
INSERT INTO projections SELECT 'promotions', 'shop', 'p' || n,
    jsonb_build_object('id', 'p' || n, 'project', 'shop', 'sequence', n) FROM generate_series(1, 5000) n;
INSERT INTO projections SELECT 'revisions', 'shop', 'shop/' || n,
    jsonb_build_object('commit', n, 'project', 'shop', 'tested_at', n::text) FROM generate_series(1, 5000) n;
ANALYZE;
"""


@pytest.fixture(scope="module")
def grown(postgresql_server: PostgresqlServer) -> Iterator[Database]:
    """Thousands of rows in which little is asked for."""
    with postgresql_server.database() as database:
        with psycopg.connect(database.owner, autocommit=True) as connection:
            connection.execute(_MANY)
        yield database


@pytest.fixture
def ledger(grown: Database) -> Iterator[PostgresqlLedger]:
    made = PostgresqlLedger(grown.application, 1)
    yield made
    made.close()


@pytest.fixture
def operations(grown: Database) -> Iterator[PostgresqlOperations]:
    made = PostgresqlOperations(grown.application, 1)
    yield made
    made.close()


def _uses(database: Database, index: str, ask: Callable[[], object]) -> bool:
    """Whether asking reads this index; what is read is told some time after."""
    with psycopg.connect(database.owner, autocommit=True) as connection:

        def scans() -> int:
            query = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s"
            found = connection.execute(query, (index,)).fetchone()
            assert found is not None
            return int(found[0])

        before = scans()
        ask()
        return wait_until(lambda: scans() > before, 15.0)


def test_runs_that_go_on_are_found_among_those_that_ended(grown: Database, operations: PostgresqlOperations) -> None:
    operations.save("runs", "run-0", "shop", {"id": 0, "verified_at": None})

    assert [one["id"] for one in operations.find("runs", verified_at=None)] == [0]
    assert _uses(grown, "documents_unfinished", lambda: operations.find("runs", verified_at=None))


def test_steps_of_a_run_are_found_by_their_key(grown: Database, operations: PostgresqlOperations) -> None:
    assert operations.find("steps", below="run-17") == [{"run": 17}]
    assert _uses(grown, "documents_pkey", lambda: operations.find("steps", below="run-17"))


def test_leases_that_are_held_are_found_among_those_that_lapsed(
    grown: Database, operations: PostgresqlOperations
) -> None:
    operations.acquire("lane:shop/dev/default", "holder", timedelta(minutes=5))

    assert [one.name for one in operations.leases()] == ["lane:shop/dev/default"]
    assert _uses(grown, "leases_until", operations.leases)


def test_the_newest_promotions_and_revisions_are_read_in_order(grown: Database, ledger: PostgresqlLedger) -> None:
    newest = ledger.rows("promotions", order="-sequence", limit=2, project="shop")

    assert [one["id"] for one in newest] == ["p5000", "p4999"]
    assert _uses(
        grown,
        "promotions_by_sequence",
        lambda: ledger.rows("promotions", order="-sequence", limit=2, project="shop"),
    )
    assert _uses(
        grown, "revisions_by_time", lambda: ledger.rows("revisions", order="-tested_at", limit=1, project="shop")
    )
