"""What an environment runs: definitions from a release, with the environment's configuration merged in.

A *definition* is a service's `run` section as the release packed it. A *configuration* is what one
environment adds to its services, secrets as references; its digest is part of every candidate.
"""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from delivery.artifact import Digest
from delivery.config import Configuration, EnvironmentService, Run, Section
from delivery.release import Release
from delivery.rollout import Workload


def definition_document(run: Run) -> JsonValue:
    """The definition that is packed and digested: every field, defaults included."""
    return run.model_dump(mode="json")


def definition_from(document: JsonValue) -> Run:
    """A packed definition; fields of later versions are refused (pydantic's ValidationError)."""
    return Run.model_validate(document)


def environment_configuration(configuration: Configuration, environment: str) -> JsonValue:
    """What one environment adds, as the document whose canonical digest is the configuration digest.

    Only what is set is in it, so that saying a default and leaving it out are the same. KeyError for an
    environment that the configuration does not have.
    """
    services = configuration.environments[environment].services
    documents = {name: _set_fields(service) for name, service in services.items()}
    return {"services": {name: document for name, document in documents.items() if document}}


def environment_services(document: JsonValue) -> dict[str, EnvironmentService]:
    """A stored configuration document as values."""
    services = document.get("services") if isinstance(document, dict) else None
    found = services if isinstance(services, dict) else {}
    return {name: EnvironmentService.model_validate(service) for name, service in found.items()}


def effective_run(run: Run, added: EnvironmentService | None) -> Run:
    """A definition with what an environment adds: the environment's port, instances and variables win.

    A variable that one side gives as text and the other by secret reference is the environment's.
    """
    if added is None:
        return run
    return run.model_copy(
        update={
            "port": run.port if added.port is None else added.port,
            "instances": run.instances if added.instances is None else added.instances,
            "environment": {**_without(run.environment, added.secrets), **added.environment},
            "secrets": {**_without(run.secrets, added.environment), **added.secrets},
        }
    )


def effective_runs(configuration: Configuration, environment: str) -> dict[str, Run]:
    """How each service of this very configuration runs in one of its environments."""
    added = configuration.environments[environment].services
    return {name: effective_run(service.run, added.get(name)) for name, service in configuration.services.items()}


def workloads(
    release: Release, definitions: Mapping[Digest, Run], added: Mapping[str, EnvironmentService]
) -> tuple[Workload, ...]:
    """A release ready to run in one environment, in order of names.

    `definitions` holds every definition of the release by digest (KeyError otherwise); `added` is what
    `environment_services` reads from the candidate's stored configuration.
    """
    return tuple(
        Workload(
            name,
            service.artifact,
            service.definition,
            effective_run(definitions[service.definition], added.get(name)),
        )
        for name, service in sorted(release.services.items())
    )


def configuration_changes(old: Mapping[str, Run], new: Mapping[str, Run]) -> list[str]:
    """What changes in how services run, a line each, for the approval form; secrets by reference.

    Both are effective runs: `{workload.service: workload.run}`.
    """
    lines: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            lines.append(f"{name}: added")
        elif name not in new:
            lines.append(f"{name}: removed")
        else:
            lines += [f"{name}: {line}" for line in _run_changes(old[name], new[name])]
    return lines


def _set_fields(section: Section) -> dict[str, JsonValue]:
    document: dict[str, JsonValue] = section.model_dump(mode="json", exclude_defaults=True)
    return document


def _without(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in one.items() if name not in other}


def _run_changes(old: Run, new: Run) -> Iterator[str]:
    before, after = _variables(old), _variables(new)
    for name in sorted(before.keys() | after.keys()):
        yield from _change(name, before.get(name), after.get(name))
    before, after = _settings(old), _settings(new)
    for name in sorted(before.keys() | after.keys()):
        yield from _change(name, before.get(name), after.get(name))


def _change(name: str, old: str | None, new: str | None) -> Iterator[str]:
    if old != new:
        yield f"{name} {_shown(old)} -> {_shown(new)}"


def _shown(value: str | None) -> str:
    return "(none)" if value is None else value or "(empty)"


def _variables(run: Run) -> dict[str, str]:
    return {**run.environment, **run.secrets}


def _settings(run: Run) -> dict[str, str]:
    """Everything but variables, flat, in words: `health.path`, `port`."""
    document = run.model_dump(mode="json", exclude={"environment", "secrets"})
    return dict(_flat("", document))


def _flat(prefix: str, value: JsonValue) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else name, inner)
    elif value is not None:
        words = value if isinstance(value, list) else [value]
        yield prefix, " ".join(str(word) for word in words)
