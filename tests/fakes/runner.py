"""A Runner that plays endings from a script."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Event

from delivery.runner import Ending, Exit, ProcessSpec


@dataclass(frozen=True, slots=True)
class Act:
    """What one command does: write, and end; `seconds` is made-up time."""

    output: bytes = b""
    code: int = 0
    signal: int | None = None
    seconds: float = 0.0
    effect: Callable[[ProcessSpec], None] = field(default=lambda _spec: None)


class ScriptedRunner:
    """Plays the acts of each command in turn, the last one for ever; unknown commands are not found."""

    def __init__(self, acts: Mapping[tuple[str, ...], list[Act]], exposure: str = "") -> None:
        self._acts = {arguments: list(one) for arguments, one in acts.items()}
        self.specs: list[ProcessSpec] = []
        self.exposure = exposure

    def run(self, spec: ProcessSpec, output: Callable[[bytes], None], cancelled: Event) -> Exit:
        self.specs.append(spec)
        acts = self._acts.get(spec.arguments)
        if not acts:
            message = f"command not found: '{spec.arguments[0]}'"
            return Exit(Ending.NOT_FOUND, None, None, 0.0, 0, truncated=False, message=message)
        act = acts.pop(0) if len(acts) > 1 else acts[0]
        kept = act.output[: spec.maximum_output_bytes]
        output(kept)
        truncated = len(kept) < len(act.output)
        if truncated:
            output(f"\nshipline: output after {spec.maximum_output_bytes} bytes is dropped\n".encode())
        act.effect(spec)
        ending = _ending(act, spec, cancelled)
        code = act.code if ending is Ending.EXITED else None
        number = act.signal if ending is Ending.KILLED else None
        ended = Exit(ending, code, number, min(act.seconds, spec.timeout_seconds), len(act.output), truncated)
        return replace(ended, isolated=spec.isolation is not None, exposure=self.exposure)


def _ending(act: Act, spec: ProcessSpec, cancelled: Event) -> Ending:
    if cancelled.is_set():
        return Ending.CANCELLED
    if act.seconds > spec.timeout_seconds:
        return Ending.TIMED_OUT
    return Ending.KILLED if act.signal else Ending.EXITED
