"""What the control plane leaves in its home for others to find it, and for its successor to adopt its processes."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from delivery.adapters.atomic_file import replace_file
from delivery.adapters.processes import ProcessIdentity, alive
from delivery.home import Home


@dataclass(frozen=True, slots=True)
class ControlState:
    """As recorded last; says nothing about now until the processes are looked at."""

    process: ProcessIdentity | None = None
    """The control plane's own process; None after an orderly stop."""
    url: str | None = None
    """Of the HTTP API; None after an orderly stop."""
    prefect_url: str | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    """Used last, by `api`, `prefect` and `gateway`: taken again when free, so that addresses stay."""
    components: Mapping[str, ProcessIdentity] = field(default_factory=dict)
    gateway_url: str | None = None
    """Where people's browsers are sent; None after an orderly stop."""

    @property
    def running(self) -> bool:
        """Whether the control plane's own process lives."""
        return self.process is not None and alive(self.process)


def read_state(home: Home) -> ControlState:
    """The record; an empty one when there is none or it cannot be read."""
    try:
        return _parsed(json.loads(home.control_state.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ControlState()


def write_state(home: Home, state: ControlState) -> None:
    """Replace the record atomically."""
    document = {
        "process": _identity_document(state.process),
        "url": state.url,
        "prefect_url": state.prefect_url,
        "gateway_url": state.gateway_url,
        "ports": dict(state.ports),
        "components": {name: _identity_document(one) for name, one in state.components.items()},
    }
    replace_file(home.control_state, json.dumps(document, indent=1).encode())


def _identity_document(identity: ProcessIdentity | None) -> dict[str, Any] | None:
    return asdict(identity) if identity else None


def _parsed(document: dict[str, Any]) -> ControlState:
    return ControlState(
        process=_identity(document["process"]),
        url=document["url"],
        prefect_url=document["prefect_url"],
        gateway_url=document.get("gateway_url"),  # one that an earlier version wrote has none
        ports={str(name): int(port) for name, port in document["ports"].items()},
        components={name: found for name, one in document["components"].items() if (found := _identity(one))},
    )


def _identity(document: dict[str, Any] | None) -> ProcessIdentity | None:
    return ProcessIdentity.read(document) if document else None
