"""Who is signed in: a random secret in the browser, its digest here, and in a file that outlives a restart."""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

from delivery.adapters.atomic_file import replace_file

SESSION_SECONDS = 12 * 3600
"""Of a session, whatever is done in it."""
_MOST = 1000
_MOST_OF_ONE = 20
"""Sessions, in all and of one person: the oldest makes place."""


@dataclass(frozen=True, slots=True)
class Session:
    """One browser in which a person has signed in."""

    key: str
    """What its person came in by."""
    until: float
    """Seconds since the epoch."""


class Sessions:
    """Thread-safe."""

    def __init__(self, place: Path, now: Callable[[], float] = time.time) -> None:
        """`place` is the file: `{digest: {key, until}}`."""
        self._place, self._now, self._lock = place, now, Lock()
        self._kept = _read(place)

    def open(self, key: str) -> str:
        """The secret of a new session; nobody can guess it, and only the browser keeps it."""
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._kept = {**_with_room(self._kept, key, self._now()), _digest(secret): self._new(key)}
            self._write()
        return secret

    def find(self, secret: str) -> Session | None:
        """The session that this secret opens, unless it has expired or was closed."""
        found = self._kept.get(_digest(secret)) if secret else None
        return found if found and found.until > self._now() else None

    def close(self, secret: str) -> None:
        """Sign out."""
        with self._lock:
            self._kept = {digest: one for digest, one in self._kept.items() if digest != _digest(secret)}
            self._write()

    def _new(self, key: str) -> Session:
        return Session(key, self._now() + SESSION_SECONDS)

    def _write(self) -> None:
        kept = {digest: asdict(one) for digest, one in self._kept.items()}
        replace_file(self._place, json.dumps(kept, indent=1).encode())


def _with_room(kept: Mapping[str, Session], key: str, now: float) -> dict[str, Session]:
    """Those that still count, so few that one more may come."""
    alive = sorted(((digest, one) for digest, one in kept.items() if one.until > now), key=lambda pair: pair[1].until)
    theirs = [digest for digest, one in alive if one.key == key]
    spare = set(theirs[: max(0, len(theirs) - _MOST_OF_ONE + 1)])
    left = [(digest, one) for digest, one in alive if digest not in spare]
    return dict(left[max(0, len(left) - _MOST + 1) :])


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _read(place: Path) -> dict[str, Session]:
    """What was kept; nobody is signed in when that cannot be read."""
    try:
        return {digest: Session(**one) for digest, one in json.loads(place.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
