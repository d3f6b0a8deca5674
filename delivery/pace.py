"""Pace: how soon a death is noticed and mended, as environment variables say."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from delivery.errors import ConfigurationError

LEASE_SECONDS = "SHIPLINE_LEASE_SECONDS"
LOOK_SECONDS = "SHIPLINE_LOOK_SECONDS"
JANITOR_SECONDS = "SHIPLINE_JANITOR_SECONDS"
SETTINGS = (LEASE_SECONDS, LOOK_SECONDS, JANITOR_SECONDS)
JANITOR_USUALLY = 5.0
LEASE = timedelta(seconds=15)
"""Long enough for a stalled machine, short enough that `status` tells the truth within a minute."""


@dataclass(frozen=True, slots=True)
class Pace:
    """At the usual one whatever a crash has left is mended within a minute; faster asks more of the machine."""

    lease: timedelta = LEASE
    """`SHIPLINE_LEASE_SECONDS`, 2 to 300: for so long a process that died keeps its lane or run from others."""
    look_seconds: float = 1.5
    """`SHIPLINE_LOOK_SECONDS`, 0.1 to 60: between two looks of the dispatcher when nothing tells it of a change."""
    janitor_seconds: float = JANITOR_USUALLY
    """`SHIPLINE_JANITOR_SECONDS`, 0.5 to 60: between two looks at what waits and at what a crash may have left."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Pace":
        """As the environment says; ConfigurationError for what is out of bounds or no number."""
        usual = cls()
        return cls(
            timedelta(seconds=_seconds(environment, LEASE_SECONDS, usual.lease.total_seconds(), 2, 300)),
            _seconds(environment, LOOK_SECONDS, usual.look_seconds, 0.1, 60),
            _seconds(environment, JANITOR_SECONDS, usual.janitor_seconds, 0.5, 60),
        )


def _seconds(environment: Mapping[str, str], name: str, usual: float, least: float, most: float) -> float:
    text = environment.get(name) or str(usual)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not least <= seconds <= most:
        raise ConfigurationError(f"reading {name}: it must be seconds from {least:g} to {most:g}, got '{text}'")
    return seconds
