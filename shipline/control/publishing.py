"""Publishing the ledger's heads: below the home at once, and where they were asked for now and then."""

import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

from delivery.adapters.git import publish_to_git
from delivery.adapters.published_heads import append_heads, publish_heads
from delivery.adapters.s3_cache import S3Bucket
from delivery.connections import Connections
from delivery.errors import DeliveryError
from delivery.head_places import HeadPlace
from delivery.shared_cache import SharedCacheSettings

_logger = logging.getLogger(__name__)
_ELSEWHERE_SECONDS = 60.0


@dataclass(slots=True)
class HeadPublisher:
    """Of one installation; trouble with one place keeps nothing from the others."""

    places: tuple[HeadPlace, ...] = ()
    _line: bytes | None = None
    """Signed, and not everywhere yet."""
    _at: float = field(default=-math.inf)

    def publish(self, ports: Connections) -> None:
        """Sign what is new; tell it elsewhere when a minute has passed since the last time."""
        self._line = publish_heads(ports.home, ports.ledger.streams(), ports.clock.now()) or self._line
        if self._line and self.places and time.monotonic() - self._at >= _ELSEWHERE_SECONDS:
            line, self._line, self._at = self._line, None, time.monotonic()
            for place in self.places:
                self._tell(ports, place, line)

    def _tell(self, ports: Connections, place: HeadPlace, line: bytes) -> None:
        try:
            if place.kind == "file":
                append_heads(Path(place.address), line)
            elif place.kind == "git":
                publish_to_git(place.address, line, ports.home.root / "published-heads.git")
            else:
                bucket = S3Bucket(SharedCacheSettings.at(place.address))
                bucket.put(f"{ports.clock.now():%Y%m%dT%H%M%SZ}.json", line)
        except (DeliveryError, OSError) as error:
            _logger.warning("publishing the ledger's heads at %s: %s", place.address, error)
            self._line = self._line or line
