"""`shipline tour`: a whole delivery on a throw-away project, told step by step; every sentence is checked."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from delivery.errors import DeliveryError
from shipline.tour_place import Place, throw_away_place
from shipline.tour_stages import STAGES


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage as it went."""

    title: str
    ok: bool
    seconds: float
    problem: str = ""


def tour(say: Callable[[str], None], *, keep: bool = False) -> list[Stage]:
    """Walk through every stage, stopping at the first whose claims do not hold."""
    went: list[Stage] = []
    with _terminated_like_interrupted(), throw_away_place(lambda line: say(f"   {line}"), keep=keep) as place:
        for number, (title, act) in enumerate(STAGES, 1):
            say(f"\n{number}. {title}")
            went.append(_walk(place, title, act))
            say(f"   {went[-1].seconds:.1f} s" if went[-1].ok else f"   {went[-1].problem}")
            if not went[-1].ok:
                break
    return went


def _walk(place: Place, title: str, act: Callable[[Place], None]) -> Stage:
    begun = time.monotonic()
    try:
        act(place)
    except DeliveryError as error:
        return Stage(title, ok=False, seconds=time.monotonic() - begun, problem=error.message)
    return Stage(title, ok=True, seconds=time.monotonic() - begun)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM ends the tour as Ctrl-C does: after everything was stopped."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
