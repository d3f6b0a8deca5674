"""The queue in memory."""

from dataclasses import replace
from datetime import datetime

from delivery.queue import Queued


class InMemoryQueue:
    """Passes the contract of `delivery.ports.Queue`."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Queued] = {}
        self._left: set[tuple[str, str]] = set()

    def put(self, queued: Queued) -> None:
        known = self._entries.get(_key(queued))
        if known is None:
            self._entries[_key(queued)] = queued
        elif _key(queued) in self._left:
            self._entries[_key(queued)] = replace(queued, starts=known.starts)
            self._left.discard(_key(queued))

    def feed(self, queued: Queued) -> None:
        known = self._entries.get(_key(queued))
        if known:
            fed = replace(known, flow_run=queued.flow_run, fed_at=queued.fed_at, starts=queued.starts)
            self._entries[_key(queued)] = fed

    def begin(self, subject: str, at: datetime) -> None:
        for key, one in self._entries.items():
            if one.subject == subject and key not in self._left and one.begun_at is None:
                self._entries[key] = replace(one, begun_at=at)

    def leave(self, queued: Queued) -> None:
        if _key(queued) in self._entries:
            self._left.add(_key(queued))

    def entries(self) -> list[Queued]:
        found = [one for key, one in self._entries.items() if key not in self._left]
        return sorted(found, key=lambda one: (one.asked_at, one.subject))

    def flow_run(self, subject: str) -> str | None:
        asked = [(one.fed_at, one.flow_run) for one in self._entries.values() if one.subject == subject and one.fed_at]
        return max(asked)[1] if asked else None

    def waits(self, since: datetime) -> list[float]:
        return sorted(
            (one.begun_at - one.asked_at).total_seconds()
            for one in self._entries.values()
            if one.begun_at and one.begun_at >= since
        )

    def forget(self, before: datetime) -> None:
        for key in [key for key in self._left if self._entries[key].asked_at < before]:
            del self._entries[key]
            self._left.discard(key)


def _key(queued: Queued) -> tuple[str, str]:
    return queued.subject, queued.standing
