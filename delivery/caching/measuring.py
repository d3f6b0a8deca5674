"""How much the cache helps: what was reused, what that saved, and what is kept for it. Pure."""

from collections.abc import Sequence
from typing import cast

from pydantic import JsonValue

from delivery.caching.keeping import Holdings
from delivery.ports import Row
from delivery.step import StepState

_EXECUTED = frozenset({StepState.COMPLETED.value, StepState.FAILED.value, StepState.ERRORED.value})
_REUSED = StepState.CACHED.value


def measure_use(steps: Sequence[Row]) -> dict[str, JsonValue]:
    """Hit rate (null when nothing ran) and seconds, over steps as the operations tables keep them."""
    executed = [one for one in steps if one["state"] in _EXECUTED]
    reused = [one for one in steps if one["state"] == _REUSED]
    asked = len(executed) + len(reused)
    return {
        "executed": len(executed),
        "reused": len(reused),
        "hit_rate": round(len(reused) / asked, 4) if asked else None,
        "executed_seconds": _seconds(executed, "seconds"),
        "saved_seconds": _seconds(reused, "saved_seconds"),
    }


def measure_size(holdings: Holdings) -> dict[str, JsonValue]:
    """What lies on this machine, for all projects."""
    needed = [one.size for one in holdings.blobs if one.digest in holdings.needed]
    return {
        "bytes": holdings.size,
        "results": len(holdings.results),
        "blobs": len(holdings.blobs),
        "needed_bytes": sum(needed),
    }


def _seconds(steps: Sequence[Row], name: str) -> float:
    return round(sum(float(cast("float", one.get(name) or 0.0)) for one in steps), 3)
