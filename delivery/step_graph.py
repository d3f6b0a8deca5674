"""The step graph: every execution of every step, once per repository or per service, in an order that works. Pure."""

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from delivery.config import Configuration, Step
from delivery.errors import ConfigurationError
from delivery.impact import reaching_paths


@dataclass(frozen=True, slots=True)
class Node:
    """One execution of a step. `needs` are ids of nodes."""

    name: str
    service: str | None
    step: Step
    needs: tuple[str, ...]

    @property
    def id(self) -> str:
        """`name` or `name@service`."""
        return node_id(self.name, self.service)

    @property
    def services(self) -> tuple[str, ...]:
        """The services that it is about; none means the whole repository."""
        return (self.service,) if self.service else tuple(self.step.services)


def node_id(name: str, service: str | None) -> str:
    """`name` or `name@service`: unique in a plan."""
    return f"{name}@{service}" if service else name


def step_graph(configuration: Configuration) -> tuple[Node, ...]:
    """All nodes, each after what it needs; ConfigurationError when steps need each other in a circle.

    A step per service needs another one per service for the same service only, and a step per repository as it is; a
    step per repository needs a step per service for all its services.
    """
    nodes = {node.id: node for name in configuration.steps for node in _expanded(configuration, name)}
    try:
        order = TopologicalSorter({node.id: node.needs for node in nodes.values()}).static_order()
        return tuple(nodes[one] for one in order)
    except CycleError as error:
        raise ConfigurationError(
            f"ordering the steps: they need each other in a circle: {' -> '.join(error.args[1])}",
            hint="remove one of these needs",
        ) from error


def input_patterns(configuration: Configuration, node: Node) -> tuple[str, ...]:
    """What a node reads: its declared inputs, else the paths of its services and their dependencies.

    Empty means the whole tree: a step that names neither is about the whole repository.
    """
    if node.step.inputs:
        return tuple(node.step.inputs)
    paths = (path for service in node.services for path in reaching_paths(configuration, service))
    return tuple(dict.fromkeys(paths))


def patterns_of(configuration: Configuration, name: str, service: str | None) -> tuple[str, ...]:
    """The same for a step as it is planned."""
    return input_patterns(configuration, Node(name, service, configuration.steps[name], ()))


def _expanded(configuration: Configuration, name: str) -> list[Node]:
    step = configuration.steps[name]
    return [Node(name, service, step, _needs(configuration, step, service)) for service in _places(configuration, name)]


def _places(configuration: Configuration, name: str) -> list[str | None]:
    """The services that a step is executed for; [None] when it is executed once."""
    step = configuration.steps[name]
    return [None] if step.per == "repository" else [*(step.services or configuration.services)]


def _needs(configuration: Configuration, step: Step, service: str | None) -> tuple[str, ...]:
    return tuple(
        node_id(needed, place) for needed in step.needs for place in _met(_places(configuration, needed), service)
    )


def _met(places: list[str | None], service: str | None) -> list[str | None]:
    """Of another step's places those that a place needs."""
    if service is None or places == [None]:
        return places
    return [service] if service in places else []
