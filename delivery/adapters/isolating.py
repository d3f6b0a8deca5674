"""Isolating a command on this machine: what more than a spec says is kept from it, and what is left open."""

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from delivery.isolation import Isolation, Visible

_STARTERS = (Path("/run/docker.sock"), Path("/run/podman/podman.sock"))
"""Whoever may write to one of these starts programs as root, wherever they like."""


def request(isolation: Isolation) -> dict[str, Any]:
    """For the supervisor: `hidden`, and `visible` as pairs of folder and whether it can be written to."""
    visible = (*_installation(isolation.hidden), *isolation.visible)
    return {
        "hidden": [str(isolation.hidden), str(_runtime_folder())],
        "visible": [(str(one.folder), one.writable) for one in visible],
    }


def exposure() -> str:
    """What an isolated command can do to Shipline all the same; empty when it is as safe as this account is."""
    if os.geteuid() == 0:
        return "root finds ways around isolation"
    open_to_us = [str(place) for place in _STARTERS if os.access(place, os.W_OK)]
    return f"{open_to_us[0]} starts programs outside of isolation" if open_to_us else ""


def _runtime_folder() -> Path:
    """Of this account: the sockets of its session, which starts programs for whoever asks (`systemd-run --user`)."""
    return Path(f"/run/user/{os.geteuid()}")


def _installation(hidden: Path) -> tuple[Visible, ...]:
    """Shipline's own code, to be read only: where we could write to it, or below what is hidden."""
    return tuple(Visible(place) for place in _places() if place.is_relative_to(hidden) or os.access(place, os.W_OK))


@cache
def _places() -> tuple[Path, ...]:
    """The environment of this interpreter, if it is one of its own, and what our packages lie in."""
    environment = () if sys.prefix == sys.base_prefix else (Path(sys.prefix),)
    packages = Path(__file__).parents[2]
    return (*environment, *(() if packages.is_relative_to(sys.prefix) else (packages,)))
