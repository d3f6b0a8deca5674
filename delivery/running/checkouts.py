"""Clean checkouts of one revision, each with a private folder beside it.

Making one and removing it takes longer than a short step. So the next one is made while a step runs, and what is
used up is removed beside the steps that follow.
"""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from delivery.errors import DeliveryError
from delivery.ports import SourceRepository

_THREADS = 2
"""One makes, one removes."""


class Checkouts:
    """Of one run, below a folder. Used from many threads."""

    def __init__(self, source: SourceRepository, revision: str, below: Path, run: str) -> None:
        """Nothing is made yet; whoever finds what a kill left knows it by the run's id."""
        self._source = source
        self._revision = revision
        self._prefix = below / run
        self._lock = Lock()
        self._background: ThreadPoolExecutor | None = None
        self._wanted = 0
        self._spare: Future[Path] | None = None

    def begin(self, count: int) -> None:
        """Make up to so many before they are asked for, one at a time; `close` ends it."""
        with self._lock:
            self._background = ThreadPoolExecutor(_THREADS, thread_name_prefix="checkouts")
            self._wanted = count
            self._make_spare()

    def close(self) -> None:
        """Return when everything is removed that nobody uses."""
        with self._lock:
            background, self._background = self._background, None
            spare, self._spare = self._spare, None
        if background:
            background.shutdown()
        if spare:
            with suppress(DeliveryError, OSError):
                _remove(spare.result())

    @contextmanager
    def taken(self) -> Iterator[tuple[Path, Path]]:
        """A clean checkout and a private folder; both are given back afterwards."""
        place = self._next()
        try:
            yield place / "checkout", place / "private"
        finally:
            self._give_back(place)

    def renew(self, folder: Path) -> None:
        """Make a folder a clean checkout again, whatever is in it.

        What is there is moved away first, so that nothing that cannot be removed gets in the way.
        """
        with tempfile.TemporaryDirectory(prefix=".old-", dir=folder.parent, ignore_cleanup_errors=True) as old:
            folder.rename(Path(old) / folder.name)
            folder.mkdir()
        self._source.checkout(self._revision, folder)

    def _next(self) -> Path:
        with self._lock:
            spare, self._spare = self._spare, None
            self._make_spare()
        return spare.result() if spare else self._made()

    def _make_spare(self) -> None:
        if self._background and self._wanted > 0:
            self._wanted -= 1
            self._spare = self._background.submit(self._made)

    def _made(self) -> Path:
        place = self._prefix.with_name(f"{self._prefix.name}-{uuid.uuid4().hex[:8]}")
        (place / "private").mkdir(parents=True)
        (place / "checkout").mkdir()
        try:
            self._source.checkout(self._revision, place / "checkout")
        except BaseException:
            _remove(place)
            raise
        return place

    def _give_back(self, place: Path) -> None:
        with self._lock:
            if self._background:
                self._background.submit(_remove, place)
                return
        _remove(place)


def _remove(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
