"""What the control plane acts with: the installation's ports, and the way to start flow runs."""

from dataclasses import dataclass

from delivery.connections import Connections
from delivery.ports import FlowRuns


@dataclass(frozen=True, slots=True)
class Control:
    """Handed to everything in the control plane that starts, wakes or shows flow runs."""

    ports: Connections
    flow_runs: FlowRuns
