"""Impact: which services and libraries a change set reaches, and why. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from delivery.config import Configuration, Library, Service
from delivery.source import ChangeSet

ALL = "all"
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Impact:
    """Whether something is reached, and why it is or is not."""

    impacted: bool
    because: tuple[str, ...]


def impacts(
    configuration: Configuration, changes: ChangeSet, forced: Collection[str] = frozenset()
) -> dict[str, Impact]:
    """The impact on every service and library, by name."""
    everything = reason_for_everything(configuration, changes)
    own = {name: changes.touched.matching(own_paths(part)) for name, part in parts_of(configuration).items()}
    return {name: _impact(configuration, changes, name, own, everything, forced) for name in own}


def reason_for_everything(configuration: Configuration, changes: ChangeSet) -> str | None:
    """Why all services and steps count as reached, if they do."""
    if changes.base is None:
        return changes.base_because
    if pipeline := changes.touched.matching(configuration.pipeline_paths):
        return f"the pipeline changed: {shown(pipeline)}"
    return None


def is_forced(name: str, forced: Collection[str]) -> bool:
    """Whether `--force` names it."""
    return name in forced or ALL in forced


def parts_of(configuration: Configuration) -> dict[str, Service | Library]:
    """Services and libraries by name, in the order of the configuration."""
    return {**configuration.services, **configuration.libraries}


def dependencies(configuration: Configuration, name: str) -> dict[str, str | None]:
    """Everything that a part depends on, nearest first, with the part that it is reached through (None: directly)."""
    parts = parts_of(configuration)
    found: dict[str, str | None] = {}
    waiting: list[tuple[str, str | None]] = [(one, None) for one in parts[name].depends_on]
    for dependency, through in waiting:  # grows while it is read: breadth first
        if dependency in found or dependency == name or dependency not in parts:
            continue
        found[dependency] = through
        waiting += [(one, dependency) for one in parts[dependency].depends_on]
    return found


def own_paths(part: Service | Library) -> tuple[str, ...]:
    """The patterns of what belongs to a part, what its build reads included."""
    inputs = part.build.inputs if isinstance(part, Service) else []
    return tuple(dict.fromkeys((*part.paths, *inputs)))


def reaching_paths(configuration: Configuration, name: str) -> tuple[str, ...]:
    """The patterns of a part and of all that it depends on: a change there reaches it."""
    parts = parts_of(configuration)
    return tuple(path for one in (name, *dependencies(configuration, name)) for path in own_paths(parts[one]))


def shown(paths: Sequence[str]) -> str:
    """The first three paths and how many more there are."""
    more = len(paths) - _SHOWN
    return ", ".join(paths[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _impact(
    configuration: Configuration,
    changes: ChangeSet,
    name: str,
    own: Mapping[str, Sequence[str]],
    everything: str | None,
    forced: Collection[str],
) -> Impact:
    reasons = ["forced with --force"] if is_forced(name, forced) else []
    reasons += [everything] if everything else _reached_by(configuration, name, own)
    if reasons:
        return Impact(impacted=True, because=tuple(reasons))
    return Impact(impacted=False, because=(f"nothing that it depends on changed since {(changes.base or '')[:7]}",))


def _reached_by(configuration: Configuration, name: str, own: Mapping[str, Sequence[str]]) -> list[str]:
    reasons = [f"changed: {shown(own[name])}"] if own[name] else []
    for dependency, through in dependencies(configuration, name).items():
        if own[dependency]:
            kind = "library" if dependency in configuration.libraries else "service"
            route = f" (through '{through}')" if through else ""
            reasons.append(f"{kind} '{dependency}' changed: {shown(own[dependency])}{route}")
    return reasons
