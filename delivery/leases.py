"""Keeping a lease while work goes on, on a thread of its own so that nothing that stalls the work lets it lapse."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread

from delivery.errors import DeliveryError
from delivery.ports import Lease, Operations

RENEWALS_PER_LEASE = 4


@contextmanager
def kept(
    operations: Operations,
    lease: Lease,
    ttl: timedelta,
    each_time: Callable[[], None] = lambda: None,
    lost: Event | None = None,
) -> Iterator[Event]:
    """Renew until the block ends, then release. Yields the event `lost`, which is set once the lease is.

    A renewal that cannot reach the database is tried again: whether the lease held meanwhile is for the
    guard of the next append to say. `each_time` is called after each renewal.
    """
    lost, done = lost or Event(), Event()
    thread = Thread(target=_renew, args=(operations, lease, ttl, each_time, lost, done), daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join()
        operations.release(lease)


def _renew(
    operations: Operations,
    lease: Lease,
    ttl: timedelta,
    each_time: Callable[[], None],
    lost: Event,
    done: Event,
) -> None:
    while not done.wait(ttl.total_seconds() / RENEWALS_PER_LEASE):
        try:
            if not operations.renew(lease, ttl):
                lost.set()
                return
            each_time()
        except DeliveryError:
            continue
