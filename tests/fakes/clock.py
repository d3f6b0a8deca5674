"""A clock that a test turns; it moves on by a millisecond whenever it is read, so that no two moments are equal."""

from datetime import UTC, datetime, timedelta
from threading import Lock


class FakeClock:
    """`delivery.ports.Clock`."""

    def __init__(self, start: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)) -> None:
        self._now = start
        self._lock = Lock()

    def now(self) -> datetime:
        with self._lock:
            self._now += timedelta(milliseconds=1)
            return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
