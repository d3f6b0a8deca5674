"""The queue: the one in memory and PostgreSQL's do the same."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from delivery.adapters.postgresql.queue import PostgresqlQueue
from delivery.ports import Queue
from delivery.queue import Priority, Queued
from tests.fakes.queue import InMemoryQueue
from tests.servers.postgresql import Database

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
RUN = Queued("run-1", "attempt 1", "shop", Priority.RUN, NOON)


@pytest.fixture(params=["memory", pytest.param("postgresql", marks=pytest.mark.integration)])
def queue(request: pytest.FixtureRequest) -> Iterator[Queue]:
    if request.param == "memory":
        yield InMemoryQueue()
        return
    database: Database = request.getfixturevalue("database")
    found = PostgresqlQueue(database.application)
    yield found
    found.close()


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_what_is_put_twice_waits_once_as_it_was_asked_first(queue: Queue) -> None:
    queue.put(RUN)
    queue.put(replace(RUN, asked_at=later(5)))
    assert queue.entries() == [RUN]


def test_entries_come_in_order_of_request(queue: Queue) -> None:
    second = Queued("promotion-1", "Requested", "shop", Priority.STAGING, later(1), environment="staging")
    queue.put(second)
    queue.put(RUN)
    assert queue.entries() == [RUN, second]


def test_which_flow_run_takes_it_up_is_kept(queue: Queue) -> None:
    queue.put(RUN)
    fed = replace(RUN, flow_run="flow-1", fed_at=later(1), starts=1)
    queue.feed(fed)
    assert queue.entries() == [fed]


def test_only_the_first_beginning_counts(queue: Queue) -> None:
    queue.put(RUN)
    queue.begin(RUN.subject, later(2))
    queue.begin(RUN.subject, later(9))
    assert queue.entries() == [replace(RUN, begun_at=later(2))]


def test_what_has_left_is_no_entry_and_waits_anew_when_it_is_put_again(queue: Queue) -> None:
    queue.put(RUN)
    queue.feed(replace(RUN, flow_run="flow-1", fed_at=later(1), starts=2))
    queue.begin(RUN.subject, later(2))
    queue.leave(RUN)
    assert queue.entries() == []
    queue.put(replace(RUN, asked_at=later(60)))
    assert queue.entries() == [replace(RUN, asked_at=later(60), starts=2)]


def test_another_standing_is_another_entry(queue: Queue) -> None:
    queue.put(RUN)
    queue.leave(RUN)
    queue.put(replace(RUN, standing="attempt 2"))
    assert queue.entries() == [replace(RUN, standing="attempt 2")]


def test_waits_are_told_of_what_has_begun_since_also_when_it_has_left(queue: Queue) -> None:
    for number, (asked, begun) in enumerate([(0, 9), (10, 15), (20, 21.5)]):
        one = replace(RUN, subject=f"run-{number}", asked_at=later(asked))
        queue.put(one)
        queue.begin(one.subject, later(begun))
        queue.leave(one)
    queue.put(replace(RUN, subject="waits still", asked_at=later(30)))
    assert queue.waits(later(10)) == [1.5, 5.0]


def test_what_left_long_ago_is_forgotten_and_what_waits_is_not(queue: Queue) -> None:
    waits = replace(RUN, subject="waits")
    for one in (RUN, waits):
        queue.put(one)
        queue.begin(one.subject, later(1))
    queue.leave(RUN)
    queue.forget(later(1))
    assert (queue.entries(), queue.waits(NOON)) == ([replace(waits, begun_at=later(1))], [1.0])


def test_the_flow_run_that_was_asked_last_is_known_also_afterwards(queue: Queue) -> None:
    assert queue.flow_run(RUN.subject) is None
    for attempt in (1, 2):
        one = replace(RUN, standing=f"attempt {attempt}")
        queue.put(one)
        assert queue.flow_run(RUN.subject) == (None if attempt == 1 else "flow-1")
        queue.feed(replace(one, flow_run=f"flow-{attempt}", fed_at=later(attempt), starts=1))
        queue.leave(one)
    assert queue.flow_run(RUN.subject) == "flow-2"
