"""Keys: the digest of everything that decides what a step or a build does. The same key, the same outcome. Pure."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, JsonValue

from delivery.artifact import Digest
from delivery.canonical import canonical_digest
from delivery.config import Configuration
from delivery.impact import dependencies, own_paths, parts_of
from delivery.step_graph import Node, input_patterns

_FORMAT = 1
"""Grows when the meaning of a key changes, so that nothing recorded before counts."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What keys need to know of the world: trees by pattern, tools' versions by name, the platform."""

    project: str
    """Two projects never meet: what one has tested, with its secrets, is nothing to another."""
    trees: Mapping[tuple[str, ...], Digest]
    tools: Mapping[str, str]
    platform: str


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a plan: of its steps by id, of its builds by service."""

    steps: Mapping[str, Digest]
    builds: Mapping[str, Digest]
    components: Mapping[str, Mapping[str, JsonValue]] = field(default_factory=dict)
    """What the key of each step is the digest of, by the step's id."""


def this_platform() -> str:
    """Operating system and machine, as in `linux/x86_64`."""
    return f"{platform.system()}/{platform.machine()}".lower()


def needed_patterns(configuration: Configuration, nodes: Sequence[Node]) -> set[tuple[str, ...]]:
    """The pattern lists whose trees Facts must hold."""
    return {input_patterns(configuration, node) for node in nodes} | {
        build_patterns(configuration, service) for service in configuration.services
    }


def needed_tools(configuration: Configuration) -> set[str]:
    """The tools whose versions Facts must hold."""
    steps = {tool for step in configuration.steps.values() for tool in step.tools}
    return steps | {tool for service in configuration.services.values() for tool in service.build.tools}


def build_patterns(configuration: Configuration, service: str) -> tuple[str, ...]:
    """What a build reads: its inputs (else the service's paths), and all that the service depends on."""
    parts = parts_of(configuration)
    inputs = configuration.services[service].build.inputs or configuration.services[service].paths
    reached = (path for one in dependencies(configuration, service) for path in own_paths(parts[one]))
    return tuple(dict.fromkeys((*inputs, *reached)))


def keys_of(configuration: Configuration, nodes: Sequence[Node], facts: Facts) -> Keys:
    """The keys of every node (each after what it needs) and of every build."""
    steps: dict[str, Digest] = {}
    components: dict[str, dict[str, JsonValue]] = {}
    outputs = {node.id for node in nodes if node.step.outputs}
    for node in nodes:
        consumed = {need: steps[need] for need in node.needs if need in outputs}
        components[node.id] = step_components(configuration, node, facts, consumed)
        steps[node.id] = canonical_digest(components[node.id])
    builds = {service: build_key(configuration, service, facts) for service in configuration.services}
    return Keys(steps, builds, components)


def step_components(
    configuration: Configuration, node: Node, facts: Facts, consumed: Mapping[str, Digest]
) -> dict[str, JsonValue]:
    """What the key of one node is the digest of; `consumed` are the keys of the steps whose outputs it gets.

    Secrets are in it as references, inputs as the digest of their tree.
    """
    step = node.step
    return {
        "format": _FORMAT,
        "schema": configuration.version,
        "project": facts.project,
        "command": _plain(step.command),
        "service": node.service,
        "inputs": facts.trees[input_patterns(configuration, node)],
        "consumed": dict(consumed),
        "environment": dict(step.environment),
        "secrets": dict(step.secrets),
        "outputs": list(step.outputs),
        "reports": _document(step.reports),
        "fixtures": {name: _document(configuration.fixtures[name]) for name in step.fixtures},
        "tools": {tool: facts.tools[tool] for tool in step.tools},
        "platform": facts.platform,
    }


def build_key(configuration: Configuration, service: str, facts: Facts) -> Digest:
    """The key of a service's build: inputs, recipe, toolchain and platform; it is looked up within a project."""
    build = configuration.services[service].build
    return canonical_digest(
        {
            "format": _FORMAT,
            "service": service,
            "command": _plain(build.command),
            "output": build.output,
            "inputs": facts.trees[build_patterns(configuration, service)],
            "environment": dict(build.environment),
            "tools": {tool: facts.tools[tool] for tool in build.tools},
            "platform": facts.platform,
        }
    )


def _plain(command: str | list[str]) -> JsonValue:
    return command if isinstance(command, str) else list(command)


def _document(section: BaseModel) -> JsonValue:
    document: JsonValue = section.model_dump(mode="json")
    return document
