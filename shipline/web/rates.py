"""How often somebody may be wrong: so many failures at once, then one more now and then, in bounded memory."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from threading import Lock

_MOST = 10_000
"""Subjects that are remembered; whoever failed the longest ago is forgotten first."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Failures that one subject has left, as of a time."""

    left: float
    at: float


class FailureLimit:
    """Thread-safe."""

    def __init__(self, at_once: int, every_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        """`at_once` failures, and one more after each `every_seconds`."""
        self._at_once, self._every, self._now = at_once, every_seconds, now
        self._kept: OrderedDict[str, Allowance] = OrderedDict()
        self._lock = Lock()

    def wait_seconds(self, subject: str) -> float:
        """How long a subject has to wait before it may try again; 0 when it need not."""
        with self._lock:
            return max(0.0, (1.0 - self._left(subject)) * self._every)

    def take(self, subject: str) -> None:
        """Count an attempt as a failure before it is looked at, so that many at once count too."""
        with self._lock:
            self._keep(subject, self._left(subject) - 1.0)

    def give_back(self, subject: str) -> None:
        """It was none."""
        with self._lock:
            self._keep(subject, self._left(subject) + 1.0)

    def _left(self, subject: str) -> float:
        kept = self._kept.get(subject)
        if kept is None:
            return float(self._at_once)
        return min(float(self._at_once), kept.left + (self._now() - kept.at) / self._every)

    def _keep(self, subject: str, left: float) -> None:
        self._kept[subject] = Allowance(left, self._now())
        self._kept.move_to_end(subject)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)


def neighbourhood(address: str) -> str:
    """What one person has of addresses: for IPv6 the 64-bit network, in which anybody has as many as they like."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else address
