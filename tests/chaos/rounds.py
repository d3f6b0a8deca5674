"""A round: several deliveries at once, one harm in the midst of them, and everything that must hold after it."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from shipline.control.lock import held
from tests.chaos.checks import LostError, answers, check
from tests.chaos.ground import Ground
from tests.chaos.moments import Moment
from tests.chaos.people import People
from tests.chaos.sight import Sight
from tests.e2e.patrol import going_round

LOOK_SECONDS = 0.01
PERSON_SECONDS = 0.25
PATIENCE_SECONDS = 120.0
"""Until everything that was asked for has ended: what takes longer is lost."""
UNSERVED = frozenset({"router"})
"""Without these users get no answer for a moment."""
Harm = Callable[[Ground, Sight, str, random.Random], int]
"""Does it, to whatever works on that run or promotion; how many processes it was done to."""


@dataclass(frozen=True, slots=True)
class Deal:
    """What happens in a round: the same deal has the same requests, victim and moment."""

    number: int
    victim: str
    moment: Moment
    seed: int


@dataclass(slots=True)
class Round:
    """One on its ground."""

    ground: Ground
    deal: Deal
    harm: Harm
    killed: int = 0
    """Processes."""
    seconds: float = 0.0
    """From the harm until everything had ended, or until somebody gave up."""
    sight: Sight = field(init=False)
    people: People = field(init=False)
    _dice: random.Random = field(init=False)
    _answered_at: float = 0.0

    def __post_init__(self) -> None:
        self._dice = random.Random(self.deal.seed)
        self.sight = Sight(self.ground.home, tuple(self.ground.lines))
        self.people = People(self.ground, self.sight, f"round-{self.deal.number}", self._dice)

    def play(self) -> None:
        """Ask, do harm at the moment, wait for every end, and check; AssertionError for what does not hold."""
        moment, addresses = self.deal.moment, self.ground.addresses()
        self.sight.begin()
        with going_round(addresses) as patrol:
            self.people.ask_for_everything(unfit=moment.project == "undone")
            subject = self._wait_for(moment)
            begun = time.monotonic()
            self.killed = self.harm(self.ground, self.sight, subject, self._dice)
            self._until_over(begun)
            answers(addresses)
        assert patrol.failures == [] or self.deal.victim in UNSERVED, patrol.failures[:5]
        check(self.ground, self.sight, self.people)

    def _wait_for(self, moment: Moment) -> str:
        """The run or promotion that has come to it; empty for a time, and where nothing comes to it any more."""
        begun = time.monotonic()
        while not self._over():
            fact = self.sight.has(moment.name, moment.project)
            if fact or (not moment.project and time.monotonic() - begun >= moment.seconds):
                return fact.subject if fact else ""
            self._go_on(forms=moment.name == "form shown")
        return ""

    def _until_over(self, since: float) -> None:
        while not (held(self.ground.home) and self._over()):
            if not held(self.ground.home):
                self.ground.up()
            self._go_on()
            self.seconds = time.monotonic() - since
            if self.seconds > PATIENCE_SECONDS:
                raise LostError(f"not ended {PATIENCE_SECONDS:.0f} s after the harm: {self.sight.open_work()}")

    def _go_on(self, *, forms: bool = False) -> None:
        """Look, and now and then let people answer."""
        self.sight.look(forms=forms)
        if time.monotonic() - self._answered_at > PERSON_SECONDS:
            with suppress(psycopg.Error):
                self.people.answer()
            self._answered_at = time.monotonic()
        time.sleep(LOOK_SECONDS)

    def _over(self) -> bool:
        """Whether everything was asked for and has ended well enough that nobody needs to say `retry`."""
        with suppress(psycopg.Error):
            return self.people.all_asked() and not self.sight.open_work() and not self.sight.errored()
        return False
