"""What is said of a run whose commands this machine was not safe from."""

from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from delivery.run import BuiltService
from delivery.step import StepState


def exposure_note(steps: Iterable[Mapping[str, JsonValue]], built: Iterable[BuiltService]) -> str:
    """Once for all that it executed, with each cause; empty when there is none."""
    executed = [one for one in steps if one.get("state") != StepState.CACHED.value]
    causes = {str(one.get("exposure") or "") for one in executed} | {one.exposure for one in built}
    causes.discard("")
    if not causes:
        return ""
    return f"unprotected: {'; '.join(sorted(causes))} (see: shipline doctor)"
