"""What each further step costs beyond its command, beside act and Buildbot: one and fifty `echo` steps, in turn.

`python -m bench.echo_steps [TIMES]`. What differs is divided by 49.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import tools
from bench.buildbot import Buildbot, buildbot_or_why
from bench.installation import Place, configuration, place, seconds
from bench.table import Row, markdown

_MANY = 50
_AS_ACT_SECONDS = 0.006
_BUILDBOTS_PART = 1 / 20
_SETTLING_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of running so many steps, none of which has run before."""

    name: str
    """Why there is none, if there is none."""
    run: Callable[[int], float] | None
    """Seconds by number of steps."""
    figures: dict[int, list[float]] = field(default_factory=lambda: {1: [], _MANY: []})

    def another(self, count: int) -> None:
        """Once more."""
        if self.run:
            self.figures[count].append(self.run(count))

    def whole(self, count: int) -> float | None:
        """The median of so many steps; None where it cannot be had."""
        return median(self.figures[count]) if self.run else None

    def each(self) -> float | None:
        """What each further step takes."""
        one, many = self.whole(1), self.whole(_MANY)
        return None if one is None or many is None else (many - one) / (_MANY - 1)


def measured(times: int = 15) -> list[Row]:
    """All of them in turn; a first run of each is left out."""
    with place("echo", files(1)) as made, buildbot_or_why(1, _MANY) as (buildbot, missing):
        origin = ("git", "remote", "add", "origin", "https://example.invalid/echo.git")
        subprocess.run(origin, cwd=made.tree, check=True)
        made.shipline("run")
        contenders = (
            Contender("", lambda _: _settled(lambda: made.shipline("run"))),
            _act(made),
            _built(buildbot, missing),
        )
        for count in (1, _MANY) * times:
            _rewrite(made, count)
            for contender in contenders:
                contender.another(count)
    return rows(*contenders)


def rows(ours: Contender, act: Contender, buildbot: Contender) -> list[Row]:
    """Each further step beside each of the others, and what it is taken from."""
    each = [figure for figure in (ours.each(),) if figure is not None]
    as_act = min(_AS_ACT_SECONDS, act.each() or _AS_ACT_SECONDS)
    built = buildbot.each()
    part = None if built is None else built * _BUILDBOTS_PART
    many = f"`shipline run`, {_MANY} echo steps in a row"
    return [
        Row("each further echo step", each, "s", as_act, beside=(act.name, act.each())),
        Row("each further echo step, beside Buildbot", each, "s", part, beside=(buildbot.name, built)),
        Row("`shipline run`, one echo step", ours.figures[1], "s", beside=(act.name, act.whole(1))),
        Row(many, ours.figures[_MANY], "s", beside=(buildbot.name, buildbot.whole(_MANY))),
    ]


def names(count: int) -> tuple[str, ...]:
    """Of so many steps."""
    return tuple(f"s{number}" for number in range(1, count + 1))


def workflow(count: int) -> str:
    """The steps for act."""
    steps = "\n".join(f"      - run: echo {step}" for step in names(count))
    return f"on: push\njobs:\n  echo:\n    runs-on: ubuntu-latest\n    steps:\n{steps}\n"


def files(count: int) -> dict[str, str]:
    """Both descriptions of the same steps."""
    return {"shipline.yaml": configuration(names(count)), ".github/workflows/push.yml": workflow(count)}


def _rewrite(made: Place, count: int) -> None:
    """A new revision with so many steps, none of which has run before."""
    for path, content in files(count).items():
        (made.tree / path).write_text(content)
    made.commit(str(time.time()))


def _act(made: Place) -> Contender:
    try:
        act = tools.act()
    except tools.UnavailableError as error:
        return Contender(str(error), None)
    _acted(act, made)
    return Contender("act", lambda _: _settled(lambda: _acted(act, made)))


def _acted(act: Path, made: Place) -> None:
    command = [str(act), "push", "-P", "ubuntu-latest=-self-hosted"]
    subprocess.run(command, cwd=made.tree, check=True, capture_output=True)


def _built(buildbot: Buildbot | None, missing: str) -> Contender:
    if buildbot is None:
        return Contender(missing, None)
    return Contender("Buildbot", lambda count: buildbot.build(count).finished)


def _settled(act: Callable[[], object]) -> float:
    """How long it takes once what went before has settled, as Buildbot's builds wait too."""
    time.sleep(_SETTLING_SECONDS)
    return seconds(act)


if __name__ == "__main__":
    print(markdown(measured(int(sys.argv[1]) if sys.argv[1:] else 15)))
