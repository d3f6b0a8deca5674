"""A wrong configuration as it was probably meant, so that one reading finds every kind of problem.

What is unknown is renamed or left out, what is wrong falls back to its default, what is missing gets a
stand-in. The result is judged and thrown away; nobody ever runs it.
"""

import copy
from collections.abc import Sequence

from pydantic import JsonValue, ValidationError

from delivery.config import Configuration
from delivery.config_findings import Finding, model_findings, value_at
from delivery.yaml_document import Path

_ROUNDS = 4
_STAND_INS: dict[str, JsonValue] = {
    "version": 1,
    "command": "true",
    "build": {"command": "true"},
    "run": {"command": "true"},
    "path": "/",
    "requests": [{"path": "/"}],
}


def repaired(value: JsonValue, findings: Sequence[tuple[Finding, str]]) -> Configuration | None:
    """The configuration without its findings, each given with the word that was probably meant.

    None when a whole top-level section is wrong: what refers to it could not be judged fairly.
    """
    if any(len(finding.path) == 1 and not guess and not finding.missing for finding, guess in findings):
        return None
    meant = copy.deepcopy(value)
    todo = list(findings)
    for _ in range(_ROUNDS):
        for finding, guess in todo:
            _repair(meant, finding, guess)
        try:
            return Configuration.model_validate(meant, strict=True)
        except ValidationError as error:
            todo = [(finding, "") for finding in model_findings(error, meant)]
    return None


def _repair(value: JsonValue, finding: Finding, guess: str) -> None:
    path = _entry(finding.path)
    holder = value_at(value, path[:-1])
    if not isinstance(holder, dict) or not path:
        return
    key = str(path[-1])
    if finding.missing:
        holder[key] = copy.deepcopy(_STAND_INS.get(key, [f"\0{'.'.join(map(str, path))}"]))
        return
    was = holder.pop(key, None)
    if finding.at_key and guess:
        holder.setdefault(guess, was)


def _entry(path: Path) -> Path:
    """The entry of a mapping that a path is in: taking an item out of a list would move those after it."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    return path
