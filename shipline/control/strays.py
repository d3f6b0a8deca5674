"""Components that no record knows: their control plane was killed after it had started them, before it said so."""

from dataclasses import replace

from delivery.adapters import processes
from delivery.adapters.processes import Launch, ProcessIdentity
from delivery.home import Home
from deployments.warm_processes import COMPONENT_NAME, FLOW_RUN_NAME
from shipline.control.component import Component

_MARK = "SHIPLINE_COMPONENT"
"""In the environment of every component: `HOME:NAME`."""


def marked(home: Home, component: Component) -> Component:
    """The component with a mark on what it starts, by which the next one finds what is in its way."""

    def launch() -> Launch:
        given = component.launch()
        return replace(given, environment={**given.environment, _MARK: f"{home.root}:{component.name}"})

    return replace(component, launch=launch, strays=lambda: running(home, component.name))


def running(home: Home, name: str) -> list[ProcessIdentity]:
    """Every process of this home that was started as this component, recorded or not."""
    leaders = processes.session_leaders(_MARK)
    return [one for one, mark in leaders.items() if _started_as(one, mark) == f"{home.root}:{name}"]


def _started_as(process: ProcessIdentity, mark: str) -> str | None:
    """What is forked from the worker has the worker's mark; its name tells what it is."""
    name = processes.name(process)
    if name == COMPONENT_NAME:
        return mark.removesuffix(":worker") + ":prefect"
    return None if name == FLOW_RUN_NAME else mark
