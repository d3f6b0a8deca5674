"""People: what is asked for in a round, and who answers what waits and retries what is Errored."""

import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from delivery.errors import DeliveryError
from shipline.cli.client import segments
from tests.chaos.ground import Ground, Line, shuffled
from tests.chaos.sight import Sight

THINKS_SECONDS = 0.5
"""Between seeing what waits and answering it: long enough for a kill in between."""
MOST_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, and what came of it."""

    line: Line
    action: str
    """`fit`, `unfit` (it will be rolled back) or `back` (somebody rolls back)."""
    request: str
    id: str = ""


@dataclass(slots=True)
class People:
    """Of one round."""

    ground: Ground
    sight: Sight
    name: str
    """Of the round: requests are named by it."""
    dice: random.Random
    asked: list[Asked] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    """Why somebody had to say `retry`."""
    _seen: dict[str, float] = field(default_factory=dict)
    _work: list[Future[None]] = field(default_factory=list)

    def ask_for_everything(self, *, unfit: bool) -> None:
        """Something in every project; `unfit`: what is asked of `undone` has to become an incident."""
        pool = ThreadPoolExecutor(len(self.ground.lines))
        wanted = [
            (line, self._action(line, unfit=unfit)) for line in shuffled([*self.ground.lines.values()], self.dice)
        ]
        self._work = [pool.submit(self._ask, line, action) for line, action in wanted]
        pool.shutdown(wait=False)

    def all_asked(self) -> bool:
        """Whether every request was answered; raises what kept one from it."""
        for one in self._work:
            if one.done():
                one.result()
        return all(one.done() for one in self._work)

    def ask_again(self) -> None:
        """The same requests, which must mean the same things."""
        for one in self.asked:
            assert self._request(one.line, one.action, one.request) == one.id, f"{one.request} twice is two things"

    def answer(self) -> None:
        """Approve what has waited long enough, and retry what is Errored; as far as somebody hears it now."""
        now = time.monotonic()
        for promotion in [*self.sight.waiting]:
            if now - self._seen.setdefault(promotion, now) > THINKS_SECONDS:
                self._say("promotions", promotion, "decision", decision="approve")
                self._seen[promotion] = now + 2 * THINKS_SECONDS
        for table, identity, why in self.sight.errored():
            self.retried.append(why)
            assert len(self.retried) <= MOST_RETRIES, self.retried
            self._say(table, identity, "retry")

    def _say(self, *path: str, **body: str) -> None:
        with suppress(DeliveryError, OSError, AssertionError):
            self.ground.ask(lambda client: client.post(segments(*path), body), seconds=0)

    def _action(self, line: Line, *, unfit: bool) -> str:
        if line.name != "undone":
            return "fit"
        if unfit:
            return "unfit"
        return self.dice.choice(["back", "unfit"]) if len(line.good) > 1 else "fit"

    def _ask(self, line: Line, action: str) -> None:
        request = f"{self.name}/{line.name}"
        if action == "back":
            line.good.pop()
        else:
            line.commit(fit=action == "fit")
        self.asked.append(Asked(line, action, request, self._request(line, action, request)))

    def _request(self, line: Line, action: str, request: str) -> str:
        return self.ground.roll_back(line, request) if action == "back" else self.ground.run(line, request)
