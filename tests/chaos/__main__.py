"""`make chaos`: kill, look, tell. `python -m tests.chaos --kills 300 --shards 2 --seed 7 --report FILE`."""

import argparse
import secrets
import subprocess
import sys
from pathlib import Path

from tests.chaos.report import Outcome, append, line_of, read, tables
from tests.chaos.series import deals, play

DOCUMENT = Path(__file__).parents[2] / "docs" / "chaos.md"


def main(words: list[str]) -> int:
    """Exit code 1 when something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--shards", type=int, default=2, help="installations that are killed side by side")
    parser.add_argument("--shard", type=int, help="only this one of them, from 0")
    parser.add_argument("--seed", type=int, help="of an earlier series, to repeat it")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of rounds")
    parser.add_argument("--report", type=Path, default=Path("build/chaos/report.jsonl"))
    given = parser.parse_args(words)
    given.seed = secrets.randbits(32) if given.seed is None else given.seed
    given.report.parent.mkdir(parents=True, exist_ok=True)
    if given.shard is None and given.shards > 1 and not given.only:
        return _side_by_side(given)
    return _one(given)


def _one(given: argparse.Namespace) -> int:
    dealt = deals(given.seed, given.kills)
    if given.only:
        dealt = [one for one in dealt if one.number in given.only]
    elif given.shard is not None:
        dealt = dealt[given.shard :: given.shards]

    def say(outcome: Outcome) -> None:
        append(given.report, outcome)
        sys.stdout.write(f"{line_of(outcome)}\n")
        sys.stdout.flush()

    return 0 if play(given.seed, dealt, given.report.parent, say) else 1


def _side_by_side(given: argparse.Namespace) -> int:
    words = [f"--{name}={getattr(given, name)}" for name in ("kills", "shards", "seed", "report")]
    started = [
        subprocess.Popen([sys.executable, "-m", "tests.chaos", *words, f"--shard={shard}"])
        for shard in range(given.shards)
    ]
    codes = [one.wait() for one in started]
    played = [one for one in read(given.report) if one.seed == given.seed]
    sys.stdout.write(f"\n{tables(played)}\n")
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
