"""A lease is kept while work goes on, and who loses it is told."""

import threading
from datetime import timedelta

import pytest

from delivery.errors import TransientError
from delivery.leases import kept
from delivery.ports import Lease
from tests.fakes.clock import FakeClock
from tests.fakes.operations import InMemoryOperations

TTL = timedelta(milliseconds=40)
SOON = 5.0


class Watched(InMemoryOperations):
    """Tells of every renewal; the first ones may fail."""

    def __init__(self, failures: int = 0) -> None:
        self.clock = FakeClock()
        super().__init__(self.clock.now)
        self.failures = failures
        self.renewed = threading.Semaphore(0)

    def renew(self, lease: Lease, ttl: timedelta) -> bool:
        if self.failures:
            self.failures -= 1
            raise TransientError("renewing: the database did not answer")
        found = super().renew(lease, timedelta(hours=1)) and bool(ttl)
        self.renewed.release()
        return found

    def take(self) -> Lease:
        lease = self.acquire("lane:shop/dev/default", "pass 1", timedelta(hours=1))
        assert lease is not None
        return lease


def test_it_is_renewed_while_the_block_lasts_and_free_afterwards() -> None:
    operations = Watched()
    lease = operations.take()
    with kept(operations, lease, TTL) as lost:
        assert all(operations.renewed.acquire(timeout=SOON) for _ in range(3))
        assert operations.holds(lease)
        assert not lost.is_set()
    assert operations.leases() == []


def test_it_is_free_also_after_an_error() -> None:
    operations = Watched()
    with pytest.raises(ValueError, match="broken"), kept(operations, operations.take(), TTL):
        raise ValueError("broken")
    assert operations.leases() == []


def test_who_loses_it_is_told_and_does_not_take_it_back() -> None:
    operations = Watched()
    lease = operations.take()
    with kept(operations, lease, TTL) as lost:
        operations.clock.advance(7200)
        successor = operations.acquire(lease.name, "pass 2", timedelta(hours=1))
        assert lost.wait(SOON)
        assert successor is not None
        assert successor.fence == lease.fence + 1
    assert operations.leases() == [successor]


def test_a_database_that_does_not_answer_for_a_while_loses_nothing() -> None:
    operations = Watched(failures=3)
    lease = operations.take()
    with kept(operations, lease, TTL) as lost:
        assert operations.renewed.acquire(timeout=SOON)
        assert not lost.is_set()


def test_something_is_looked_at_after_each_renewal() -> None:
    operations = Watched()
    looked = threading.Semaphore(0)
    with kept(operations, operations.take(), TTL, looked.release):
        assert all(looked.acquire(timeout=SOON) for _ in range(2))
