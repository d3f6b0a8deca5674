"""Leases and operations documents in memory, on a clock that a test may turn."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import RLock

from pydantic import JsonValue

from delivery.ports import Claim, Lease, Row
from delivery.run import lease_name

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class InMemoryOperations:
    """Passes the contract of `delivery.ports.Operations`."""

    def __init__(self, now: Callable[[], datetime] = _utc_now) -> None:
        self._now = now
        self._leases: dict[str, Lease] = {}
        self._documents: dict[tuple[str, str], tuple[str, str]] = {}
        """(table, key): (project, JSON), in order of the first saving."""
        self._claims: dict[tuple[str, str], Claim] = {}
        self._lock = RLock()

    def acquire(self, name: str, holder: str, ttl: timedelta) -> Lease | None:
        with self._lock:
            found = self._leases.get(name)
            held = found is not None and found.until > self._now()
            if found and held and found.holder != holder:
                return None
            fence = found.fence + (0 if held else 1) if found else 1
            lease = Lease(name, holder, fence, self._now() + ttl)
            self._leases[name] = lease
            return lease

    def renew(self, lease: Lease, ttl: timedelta) -> bool:
        with self._lock:
            if not self.holds(lease):
                return False
            self._leases[lease.name] = replace(lease, until=self._now() + ttl)
            return True

    def hand_over(self, lease: Lease, holder: str, ttl: timedelta) -> Lease | None:
        with self._lock:
            if not self.holds(lease):
                return None
            given = Lease(lease.name, holder, lease.fence + 1, self._now() + ttl)
            self._leases[lease.name] = given
            return given

    def release(self, lease: Lease) -> None:
        with self._lock:
            if self.holds(lease):
                self._leases[lease.name] = replace(lease, until=_LONG_AGO)

    def leases(self, prefix: str = "") -> list[Lease]:
        with self._lock:
            held = [lease for lease in self._leases.values() if lease.until > self._now()]
        return sorted((lease for lease in held if lease.name.startswith(prefix)), key=lambda lease: lease.name)

    def holds(self, lease: Lease) -> bool:
        """Whether this holder still has it with this fence."""
        with self._lock:
            found = self._leases.get(lease.name)
            return (
                found is not None
                and (found.holder, found.fence) == (lease.holder, lease.fence)
                and found.until > self._now()
            )

    def save(self, table: str, key: str, project: str, document: Row) -> None:
        with self._lock:
            self._documents[table, key] = (project, json.dumps(dict(document)))

    def save_all(self, table: str, project: str, documents: Mapping[str, Row]) -> None:
        with self._lock:
            for key, document in documents.items():
                self.save(table, key, project, document)

    def load(self, table: str, key: str) -> dict[str, JsonValue] | None:
        with self._lock:
            found = self._documents.get((table, key))
        return dict(json.loads(found[1])) if found else None

    def find(
        self, table: str, project: str | None = None, limit: int = 1000, *, below: str = "", **equal: JsonValue
    ) -> list[dict[str, JsonValue]]:
        with self._lock:
            saved = [
                json.loads(text)
                for (name, key), (owner, text) in self._documents.items()
                if name == table and project in {None, owner} and (not below or key.startswith(f"{below}/"))
            ]
        found = [one for one in reversed(saved) if all(one.get(field) == wanted for field, wanted in equal.items())]
        return found[:limit]

    def keys(self, table: str, before: str, limit: int = 1000) -> list[str]:
        with self._lock:
            return sorted(key for name, key in self._documents if name == table and key < before)[:limit]

    def forget(self, identity: str) -> None:
        with self._lock:
            gone = [
                (name, key)
                for name, key in self._documents
                if (name == "steps" and key.startswith(f"{identity}/"))
                or (name in {"runs", "plans"} and key == identity)
            ]
            for one in gone:
                del self._documents[one]
            lease = self._leases.get(lease_name(identity))
            if lease and lease.until <= self._now():
                del self._leases[lease.name]

    def claim(self, claim: Claim) -> bool:
        with self._lock:
            return self._claims.setdefault((claim.flow_run, claim.state), claim) is claim

    def claims(self) -> list[Claim]:
        return list(self._claims.values())

    def drop_claim(self, claim: Claim) -> bool:
        with self._lock:
            if self._claims.get((claim.flow_run, claim.state)) != claim:
                return False
            del self._claims[claim.flow_run, claim.state]
            return True
