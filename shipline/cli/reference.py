"""The reference of the commands, made from them: `python -m shipline.cli.reference > docs/reference/cli.md`."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Annotated, Any, get_args, get_origin

from typer.models import ArgumentInfo, OptionInfo

from delivery.plan import Action
from delivery.promotion import Kind, Phase
from delivery.rollout import HealthState
from delivery.run import RunState
from delivery.source import ChangeKind
from delivery.step import StepState
from shipline.cli import main
from shipline.cli.session import SHARED, command

ENUMERATIONS: dict[str, type[Enum]] = {
    "change": ChangeKind,
    "step action": Action,
    "step state": StepState,
    "run state": RunState,
    "promotion state": Phase,
    "promotion kind": Kind,
    "health": HealthState,
}
_HEAD = """# The command line

*Made from the commands by `python -m shipline.cli.reference`; a test keeps it current.*

Every command takes `--json` (one JSON document on standard output, people's words on standard error),
`--debug` (the traceback of an error) and `--project SLUG|DIR`.

| exit code | means |
|--|--|
| 0 | done, or a person's decision is awaited |
| 1 | Failed: it ran, the answer is no |
| 2 | usage or configuration; nothing was changed |
| 3 | Errored: could not find out, or the outside world broke |
| 4 | Refused: a gate or a person said no |
| 5 | a `--timeout` that passed |
| 130 | interrupted |

`SHIPLINE_HOME` names the installation. `SHIPLINE_URL` and `SHIPLINE_TOKEN` choose a remote control plane, for every
command but LOCAL, which are about the machine that they are typed on.
`NO_COLOR` is respected.
"""


def reference() -> str:
    """The whole page."""
    local = ", ".join(f"`{name}`" for name in main.COMMANDS if name in main.LOCAL)
    sections = [_section(f"shipline {name}", function) for name, function in commands()]
    values = [f"| {name} | {' '.join(f'`{one.value}`' for one in kind)} |" for name, kind in ENUMERATIONS.items()]
    tail = ["## Enumerations", "", "| field | values |", "|--|--|", *values, ""]
    return "\n".join([_HEAD.replace("LOCAL", local), *sections, *tail])


def commands() -> Iterator[tuple[str, Callable[..., None]]]:
    """Every command's words and the function behind it."""
    for name, place in main.COMMANDS.items():
        yield name, main.load(place)
    for group, (_, members) in main.GROUPS.items():
        for member, place in members.items():
            yield f"{group} {member}".rstrip(), main.load(place)


def _section(words: str, function: Callable[..., None]) -> str:
    said, _, example = inspect.getdoc(function).partition("Example: ")  # type: ignore[union-attr]  # a test asserts it
    rows = list(_rows(function))
    options = ["| | |", "|--|--|", *rows, ""] if rows else []
    return "\n".join([f"## {words}", "", said.strip(), "", "```", example.strip(), "```", "", *options])


def _rows(function: Callable[..., None]) -> Iterable[str]:
    own = list(inspect.signature(command(function)).parameters.values())
    for parameter in own[: -len(SHARED)]:
        information = _information(parameter.annotation)
        if information is None:
            continue
        names = _names(parameter, information)
        yield f"| `{names}` | {(information.help or '').replace('|', chr(92) + '|')} |"


def _information(annotation: Any) -> ArgumentInfo | OptionInfo | None:  # noqa: ANN401  # an annotation may be anything
    if get_origin(annotation) is not Annotated:
        return None
    return next((one for one in get_args(annotation) if isinstance(one, ArgumentInfo | OptionInfo)), None)


def _names(parameter: inspect.Parameter, information: ArgumentInfo | OptionInfo) -> str:
    metavar = information.metavar or ""
    if isinstance(information, ArgumentInfo):
        return (metavar or parameter.name.upper()).replace("|", "\\|")
    given = [one for one in (information.default, *(information.param_decls or ())) if isinstance(one, str)]
    names = ", ".join(given) or f"--{parameter.name.replace('_', '-')}"
    return f"{names} {metavar}".rstrip().replace("|", "\\|")


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201  # it is written to standard output
