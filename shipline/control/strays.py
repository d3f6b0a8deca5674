"""Components that no record knows: their control plane was killed after it had started them, before it said so."""

from dataclasses import replace

from delivery.adapters import processes
from delivery.adapters.processes import Launch, ProcessIdentity
from delivery.home import Home
from deployments.flow_processes import flow_processes
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
    runs = {run.pid for run in flow_processes(home=home.root)}  # forked from the worker, with its environment
    leaders = processes.session_leaders(_MARK)
    return [one for one, mark in leaders.items() if mark == f"{home.root}:{name}" and one.pid not in runs]
