"""A series: rounds dealt from one seed, played on one ground after another, each reported as it ends."""

import random
import shutil
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

from delivery.adapters.postgresql.ledger import PostgresqlLedger
from delivery.adapters.postgresql.urls import application_url
from tests.chaos.checks import DoubledError, LostError
from tests.chaos.ground import PLACES, SECRET, Ground, made_ground
from tests.chaos.moments import BOUNDARIES, random_time
from tests.chaos.report import Outcome
from tests.chaos.rounds import Deal, Round
from tests.chaos.victims import VICTIMS, kill
from tests.e2e.secrets import places_with
from tests.servers.installation import until

ROUNDS_PER_GROUND = 25
"""Every check reads the whole history, and an earlier round's trouble must not be a later one's."""
RANDOM_SHARE = 4
"""One of so many kills is at a random time."""


def deals(seed: int, kills: int) -> list[Deal]:
    """Every victim at every boundary and at random times, shuffled; as many as are wanted."""
    dice = random.Random(seed)
    every = [(victim, moment) for victim in VICTIMS for moment in BOUNDARIES]
    dice.shuffle(every)
    between = kills // RANDOM_SHARE
    chosen = [every[number % len(every)] for number in range(kills - between)]
    chosen += [(victim, random_time(dice)) for victim, _ in (dice.choice(every) for _ in range(between))]
    dice.shuffle(chosen)
    return [Deal(number, *one, seed=dice.getrandbits(32)) for number, one in enumerate(chosen, 1)]


def play(seed: int, dealt: Iterable[Deal], evidence: Path, say: Callable[[Outcome], None]) -> bool:
    """Play them all; whether everything held. What a round that went wrong leaves is kept as evidence."""
    waiting, well = iter(dealt), True
    while batch := list(islice(waiting, ROUNDS_PER_GROUND)):
        left = batch
        while left:
            with delivered_ground() as ground:
                left, held = _play_on(ground, seed, left, evidence, say)
                well = well and held
    return well


def _play_on(
    ground: Ground, seed: int, dealt: list[Deal], evidence: Path, say: Callable[[Outcome], None]
) -> tuple[list[Deal], bool]:
    """Until all are played or one went wrong: those that are left, and whether all held."""
    for number, deal in enumerate(dealt, 1):
        outcome = outcome_of(ground, seed, deal)
        say(outcome)
        if not outcome.well:
            keep(ground, evidence / f"{seed}-{deal.number}", outcome)
            return dealt[number:], False
    assert places_with(ground.home, SECRET) == []
    return [], True


def outcome_of(ground: Ground, seed: int, deal: Deal) -> Outcome:
    """Play a round and tell how it went."""
    played, broken, lost, doubled = Round(ground, deal, partial(kill, deal.victim)), "", 0, 0
    try:
        played.play()
    except Exception as error:  # noqa: BLE001  # whatever it is: the series goes on, on another ground
        broken = "".join(traceback.format_exception(error))
        lost, doubled = int(isinstance(error, LostError)), int(isinstance(error, DoubledError))
    finally:
        played.sight.close()
    return Outcome(
        seed=seed,
        number=deal.number,
        victim=deal.victim,
        moment=str(deal.moment),
        killed=played.killed,
        promotions=len(played.sight.promotions),
        seconds=round(played.seconds, 2),
        lost=lost,
        doubled=doubled,
        retried=len(played.people.retried),
        broken=broken,
    )


@contextmanager
def delivered_ground() -> Iterator[Ground]:
    """A ground in which two versions were delivered everywhere, so that there is something to go back to."""
    with made_ground() as ground:
        for version in ("1", "2"):
            for line in ground.lines.values():
                line.commit()
            runs = [ground.run(line, f"version {version}") for line in ground.lines.values()]
            approving = ground.lines["gated"].project
            approving.ask("approve", approving.waiting(PLACES["gated"][-1])["id"])
            for run in runs:
                until(lambda run=run: _completed(ground, run), f"run {run} to complete")  # type: ignore[misc]
        yield ground


def _completed(ground: Ground, run: str) -> bool:
    return bool(ground.installation.look("runs", run)["state"] == "Completed")


def keep(ground: Ground, folder: Path, outcome: Outcome) -> None:
    """What went wrong, every log, and the ledger's entries."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "broken").write_text(f"{outcome.victim} at {outcome.moment}\n\n{outcome.broken}")
    shutil.copytree(ground.home.logs, folder / "logs", dirs_exist_ok=True)
    shutil.copy(ground.starts, folder / "starts")
    with closing(PostgresqlLedger(application_url(ground.home))) as ledger:
        for project in ground.projects:
            lines = [entry.content.decode() for entry in ledger.entries(project.slug)]
            (folder / f"{project.slug}.jsonl").write_text("\n".join(lines))
