"""Environments on this machine: the deployer, and the data plane that outlives whoever deploys."""

from delivery.adapters.local.data_plane import (
    ensure_supervisor,
    keep_environments,
    start_environments,
    stop_environments,
)
from delivery.adapters.local.deployer import LocalDeployer
from delivery.adapters.local.preparing import unpack_again

__all__ = [
    "LocalDeployer",
    "ensure_supervisor",
    "keep_environments",
    "start_environments",
    "stop_environments",
    "unpack_again",
]
