"""Why a step is reused or not: its key beside those of the results that are kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from pydantic import JsonValue

from delivery.artifact import Digest, parse_digest
from delivery.caching.differing import Difference, Earlier, Listing, changed_inputs, first_difference, nearest
from delivery.caching.origin import may_be_shared
from delivery.caching.telling import (
    NEVER_REUSED,
    because_differs,
    because_gone,
    because_none_is_kept,
    because_not_shared,
    because_same,
)
from delivery.config import Configuration
from delivery.connections import Connections
from delivery.errors import DeliveryError, NotFoundError
from delivery.plan import Plan, PlannedStep
from delivery.ports import Row, SourceRepository
from delivery.spelling import closest
from delivery.step_graph import patterns_of

_LOOKED_AT = 500
"""Earlier executions of a step; of the keys among them the newest few are compared."""
_COMPARED = 30


@dataclass(frozen=True, slots=True)
class Why:
    """The answer about one planned step."""

    step: PlannedStep
    reusable: bool
    """Whether a result with the very same key is kept, whole."""
    because: str
    nearest: Earlier | None = None
    difference: Difference | None = None
    files: tuple[tuple[str, str], ...] = ()
    """(path, change) of the inputs that differ."""

    def document(self) -> dict[str, JsonValue]:
        """As `shipline cache why --json` prints it."""
        return {
            "id": self.step.id,
            "name": self.step.name,
            "service": self.step.service,
            "key": self.step.key,
            "action": self.step.action.value,
            "reusable": self.reusable,
            "because": self.because,
            "nearest": _nearest_document(self.nearest) if self.nearest else None,
            "differs": _difference_document(self.difference, self.files) if self.difference else None,
        }


@dataclass(frozen=True, slots=True)
class _Question:
    """One planned step, and what its answer is found with."""

    connections: Connections
    plan: Plan
    configuration: Configuration
    step: PlannedStep

    @property
    def source(self) -> SourceRepository:
        return self.connections.source(self.plan.project)


def explain(connections: Connections, plan: Plan, configuration: Configuration, name: str) -> list[Why]:
    """An answer for each place of a step; `name` is a step or `step@service`. NotFoundError when there is none."""
    asked = [one for one in plan.steps if name in {one.name, one.id}]
    if not asked:
        near = closest(name, [found for one in plan.steps for found in (one.name, one.id)])
        known = f"known are: {', '.join(one.id for one in plan.steps) or 'none'}"
        hint = f"did you mean '{near}'? {known}" if near else known
        raise NotFoundError(f"explaining step '{name}': there is no such step", hint=hint)
    return [_answer(_Question(connections, plan, configuration, one)) for one in asked]


def read_earlier(key: Digest, record: Row) -> Earlier | None:
    """Where a kept result came from; None for one that does not say."""
    origin = cast("Mapping[str, JsonValue]", record.get("origin") or {})
    if not origin.get("components"):
        return None
    return Earlier(
        key,
        run=str(origin["run"]),
        revision=str(origin["revision"]),
        at=str(origin["at"]),
        components=cast("Mapping[str, JsonValue]", origin["components"]),
        patterns=tuple(cast("list[str]", origin["patterns"])),
    )


def _answer(question: _Question) -> Why:
    step = question.step
    if not question.configuration.steps[step.name].reuse:
        return Why(step, reusable=False, because=NEVER_REUSED)
    record = question.connections.step_cache.lookup(step.key)
    if record is not None:
        made = read_earlier(step.key, record)
        if question.plan.shares and not may_be_shared(record):
            return Why(step, reusable=False, because=because_not_shared(made), nearest=made)
        return Why(step, reusable=True, because=because_same(made), nearest=made)
    told = question.connections.operations.find("steps", project=question.plan.project, limit=_LOOKED_AT, id=step.id)
    found = nearest(step.components, _kept(question, told))
    if found is None:
        return Why(step, reusable=False, because=because_none_is_kept(step.key, told))
    difference = first_difference(step.components, found.components)
    if difference is None:
        return Why(step, reusable=False, because=because_gone(found), nearest=found)
    files, problem = _files(question, found) if difference.component == "inputs" else ((), "")
    because = because_differs(difference, files, problem, found)
    return Why(step, reusable=False, because=because, nearest=found, difference=difference, files=files)


def _kept(question: _Question, told: Sequence[Row]) -> Iterator[Earlier]:
    """Results of the step that are kept, newest first."""
    now = question.plan.revision.based_on or question.plan.revision.commit
    keys = dict.fromkeys(parse_digest(str(one["key"])) for one in told if one.get("key"))
    for key in list(keys)[:_COMPARED]:
        found = question.connections.step_cache.read(key)
        made = read_earlier(key, found.record) if found else None
        if made:
            yield replace(made, same_line=_leads_to(question, made, now))


def _leads_to(question: _Question, made: Earlier, now: str) -> bool:
    try:
        return question.source.is_ancestor(made.revision, now)
    except DeliveryError:  # the mirror may have lost what no branch holds any more
        return False


def _files(question: _Question, made: Earlier) -> tuple[tuple[tuple[str, str], ...], str]:
    """The inputs that differ, and why they cannot be named, if so."""
    step, commit = question.step, question.plan.revision.commit
    patterns = patterns_of(question.configuration, step.name, step.service)
    try:
        before = Listing(made.patterns, [one.path for one in question.source.changes(None, made.revision)])
        now = Listing(patterns, [one.path for one in question.source.changes(None, commit)])
        return changed_inputs(question.source.changes(made.revision, commit), before, now), ""
    except DeliveryError as error:
        return (), error.message


def _nearest_document(made: Earlier) -> dict[str, JsonValue]:
    return {"run": made.run, "revision": made.revision, "at": made.at, "key": made.key, "same_line": made.same_line}


def _difference_document(difference: Difference, files: Sequence[tuple[str, str]]) -> dict[str, JsonValue]:
    return {
        "component": difference.component,
        "name": difference.name,
        "earlier": difference.earlier,
        "now": difference.now,
        "files": [{"path": path, "change": change} for path, change in files],
    }
