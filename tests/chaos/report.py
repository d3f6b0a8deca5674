"""The report: a JSON line for each round, and the tables that docs/chaos.md shows."""

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a round went."""

    seed: int
    """Of the series."""
    number: int
    victim: str
    moment: str
    killed: int
    """Processes."""
    promotions: int
    """That were asked for in the round."""
    seconds: float
    """From the kill until everything had ended."""
    lost: int
    doubled: int
    retried: int
    """How often somebody had to say `retry`."""
    broken: str
    """What did not hold; empty when all did."""

    @property
    def well(self) -> bool:
        """Whether everything held."""
        return not self.broken


def append(path: Path, outcome: Outcome) -> None:
    """Add a line; several processes may do so at once."""
    with path.open("a") as report:
        report.write(json.dumps(asdict(outcome)) + "\n")


def line_of(outcome: Outcome) -> str:
    """For whoever watches."""
    went = "well" if outcome.well else outcome.broken.strip().splitlines()[-1]
    what = f"seed {outcome.seed} round {outcome.number}: {outcome.victim}, {outcome.moment}"
    return f"{what}: {outcome.seconds:.1f} s, {outcome.promotions} promotions, {outcome.retried} retried: {went}"


def read(path: Path) -> list[Outcome]:
    """Every line."""
    return [Outcome(**json.loads(line)) for line in path.read_text().splitlines()]


def tables(outcomes: Sequence[Outcome]) -> str:
    """Markdown: all together, by victim and by moment."""
    rows = [_row("**all**", outcomes)]
    rows += _rows(outcomes, lambda one: one.victim)
    rows += _rows(outcomes, lambda one: one.moment)
    head = "| killed, or when | kills | promotions | lost | doubled | retried by a person | seconds: median | worst |"
    return "\n".join([head, "|--|--:|--:|--:|--:|--:|--:|--:|", *rows, ""])


def _rows(outcomes: Sequence[Outcome], by: Callable[[Outcome], str]) -> list[str]:
    names = dict.fromkeys(by(one) for one in sorted(outcomes, key=by))
    return [_row(name, [one for one in outcomes if by(one) == name]) for name in names]


def _row(name: str, outcomes: Iterable[Outcome]) -> str:
    found = list(outcomes)
    seconds = [one.seconds for one in found]
    counted = [(1, one.promotions, one.lost, one.doubled, one.retried) for one in found]
    sums = [str(sum(values)) for values in zip(*counted, strict=True)]
    return f"| {name} | {' | '.join(sums)} | {statistics.median(seconds):.1f} | {max(seconds):.1f} |"
