"""The near tier, then the shared one: what is found far away is brought near, and what is made stays near.

Nothing here writes to the shared tier but `share`, which whoever may calls by itself. Trouble with that tier is a
warning: it is then left alone for a while, so that nobody waits for it again and again.
"""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from delivery.artifact import Digest
from delivery.caching.origin import may_be_shared
from delivery.errors import DeliveryError
from delivery.ports import Recorded, Row, StepCache, Store

_logger = logging.getLogger("shipline.cache")
REST_SECONDS = 60.0
T = TypeVar("T")


class Asking:
    """Asks a tier that may be away; after it has failed it is left alone for a while."""

    def __init__(self, address: str, rest_seconds: float = REST_SECONDS) -> None:
        """`address` is for people."""
        self.address = address
        self.problem = ""
        """What went wrong last; empty once it has answered again."""
        self._rest_seconds = rest_seconds
        self._again_at = 0.0

    def ask(self, act: Callable[[], T], otherwise: T) -> T:
        """The answer, or the other value while there is none."""
        if time.monotonic() < self._again_at:
            return otherwise
        try:
            answer = act()
        except DeliveryError as error:
            self.problem = f"{error.message}; {error.hint}" if error.hint else error.message
            self._again_at = time.monotonic() + self._rest_seconds
            _logger.warning("the shared cache is left alone for %.0f s: %s", self._rest_seconds, self.problem)
            return otherwise
        self.problem = ""
        return answer


class TieredStore:
    """A Store: reads near, then far; writes near only."""

    def __init__(self, near: Store, far: Store, asking: Asking) -> None:
        """What `far` opens is a copy of its own, which is removed once it has been brought near."""
        self._near, self._far, self._asking = near, far, asking

    def put(self, content: bytes) -> Digest:
        return self._near.put(content)

    def put_file(self, path: Path) -> Digest:
        return self._near.put_file(path)

    def get(self, digest: Digest) -> bytes | None:
        content = self._near.get(digest)
        return content if content is not None or not self._bring(digest) else self._near.get(digest)

    def open(self, digest: Digest) -> Path | None:
        return self._near.open(digest) or (self._near.open(digest) if self._bring(digest) else None)

    def has(self, digest: Digest) -> bool:
        return self._near.has(digest) or self._asking.ask(lambda: self._far.has(digest), otherwise=False)

    def _bring(self, digest: Digest) -> bool:
        path = self._asking.ask(lambda: self._far.open(digest), None)
        if path is None:
            return False
        try:
            self._near.put_file(path)
        finally:
            path.unlink(missing_ok=True)
        return True


class TieredStepCache:
    """A StepCache: looks near, then far, and brings near what it finds there; records near only."""

    def __init__(self, near: StepCache, far: StepCache, store: TieredStore, asking: Asking) -> None:
        self._near, self._far, self._store, self._asking = near, far, store, asking

    def lookup(self, key: Digest) -> Row | None:
        found = self._near.lookup(key)
        if found is not None:
            return found
        told = self._asking.ask(lambda: self._far.read(key), None)
        if told is None or not all(self._store.open(blob) for blob in told.blobs):
            return None
        self._near.record(key, told.record, told.blobs)
        return told.record

    def read(self, key: Digest) -> Recorded | None:
        return self._near.read(key) or self._asking.ask(lambda: self._far.read(key), None)

    def record(self, key: Digest, record: Row, blobs: Sequence[Digest]) -> None:
        self._near.record(key, record, blobs)


class SharedTier:
    """Results that other installations read too."""

    def __init__(self, near: tuple[Store, StepCache], far: tuple[Store, StepCache], asking: Asking) -> None:
        (self._near_store, self._near_steps), (self._store, self._steps) = near, far
        self.asking = asking

    def share(self, key: Digest) -> bool:
        """Write a result that is kept near, blobs first; whether others can read it now. Never raises."""
        return self.asking.ask(lambda: self._share(key), otherwise=False)

    def look(self, key: Digest) -> str:
        """What is wrong with the tier, by asking it; empty when it answers."""
        self.asking.ask(lambda: self._steps.read(key), None)
        return self.asking.problem

    def _share(self, key: Digest) -> bool:
        told = self._near_steps.read(key)
        if told is None or not may_be_shared(told.record):  # somebody else has put his own there meanwhile
            return False
        if self._steps.read(key) == told and all(self._store.has(blob) for blob in told.blobs):
            return True
        for blob in told.blobs:
            path = self._near_store.open(blob)
            if path is None:
                return False
            self._store.put_file(path)
        self._steps.record(key, told.record, told.blobs)
        return True
