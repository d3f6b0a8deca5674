"""The sentences of `shipline cache why`. Pure."""

import json
from collections.abc import Sequence

from pydantic import JsonValue

from delivery.artifact import Digest
from delivery.caching.differing import Difference, Earlier
from delivery.ports import Row
from delivery.step import StepState

NEVER_REUSED = "'reuse: false' has the step run every time"

_WORDS = {
    "environment": "the environment variable",
    "tools": "the tool",
    "secrets": "the secret",
    "fixtures": "the fixture",
    "schema": "the version of shipline.yaml",
    "format": "the format of keys",
}
_SHORT = 12
_SHOWN_FILES = 3
_LONGEST = 120
"""Characters of a value that are shown; `--json` has it whole."""


def because_same(made: Earlier | None) -> str:
    """A result with the same key is kept."""
    return f"nothing differs: reused from {_run(made)}"


def because_not_shared(made: Earlier | None) -> str:
    """One is kept, and a run whose results others will read may not take it."""
    return f"nothing differs from {_run(made)}, but that was not of the default branch, whose results are shared"


def _run(made: Earlier | None) -> str:
    return f"run {made.run}" if made else "an earlier run"


def because_gone(made: Earlier) -> str:
    """One was kept, and cannot be read whole any more."""
    return f"nothing differs from run {made.run}, but what that kept is damaged or gone: the step runs again"


def because_none_is_kept(key: Digest, told: Sequence[Row]) -> str:
    """No result of the step is kept at all; `told` are its executions, newest first."""
    same = next((one for one in told if one.get("key") == key), None)
    if same is None:
        return "no result of this step is kept" if told else "this step has never run"
    if same["state"] in {StepState.COMPLETED.value, StepState.CACHED.value}:
        return f"nothing differs from run {same['run']}, but its result is not kept any more: the step runs again"
    return f"nothing differs from run {same['run']}, where it was {same['state']}: only successes are reused"


def because_differs(difference: Difference, files: Sequence[tuple[str, str]], problem: str, made: Earlier) -> str:
    """The first component that differs, with the files when those are the inputs."""
    return f"{_difference(difference, files, problem)}, compared with run {made.run} of {made.revision[:_SHORT]}"


def _difference(difference: Difference, files: Sequence[tuple[str, str]], problem: str) -> str:
    match difference.component:
        case "inputs":
            return f"its inputs differ: {_files(files, problem)}"
        case "consumed":
            return _consumed(difference)
        case component if difference.name is not None:
            return f"{_WORDS.get(component, component)} '{difference.name}' {_values(difference)}"
        case component:
            return f"{_WORDS.get(component, f'its {component}')} {_values(difference)}"


def _files(files: Sequence[tuple[str, str]], problem: str) -> str:
    if not files:
        return problem or "their content is not what it was"
    named = ", ".join(f"{path} ({change})" for path, change in files[:_SHOWN_FILES])
    more = len(files) - _SHOWN_FILES
    return f"{named} and {more} more" if more > 0 else named


def _consumed(difference: Difference) -> str:
    if difference.earlier is None:
        return f"it reads the outputs of step '{difference.name}' now, which it did not"
    if difference.now is None:
        return f"it does not read the outputs of step '{difference.name}' any more"
    step = difference.name
    return f"it reads the outputs of step '{step}', whose key differs (see: shipline cache why {step})"


def _values(difference: Difference) -> str:
    if difference.earlier is None:
        return f"is new: {_shown(difference.now)}"
    if difference.now is None:
        return f"is gone: it was {_shown(difference.earlier)}"
    return f"was {_shown(difference.earlier)}, is {_shown(difference.now)}"


def _shown(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"{text[:_LONGEST]}..." if len(text) > _LONGEST else text
