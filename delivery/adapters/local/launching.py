"""How a service's commands are started: folder, arguments and an environment made from nothing."""

from collections.abc import Callable, Mapping
from pathlib import Path

from delivery.adapters.local.state import Side
from delivery.config import Command
from delivery.rollout import Target
from delivery.runner import SYSTEM_PATH, command_arguments

MARK = "SHIPLINE_PROCESS"
"""In the environment of everything the supervisor starts: the folder of its target and the id of the process."""

Resolve = Callable[[str], str]
"""`secret:NAME` to its value."""


def artifact_folder(folder: Path, digest: str) -> Path:
    """Where an artifact is unpacked in an environment's folder."""
    return folder / "artifacts" / digest.removeprefix("sha256:")


def arguments(command: Command, port: int | None) -> tuple[str, ...]:
    """The argument list, with the instance's port in it."""
    given = command_arguments(command)
    return given if port is None else tuple(one.replace("{port}", str(port)) for one in given)


def environment(target: Target, folder: Path, side: Side, secrets: Mapping[str, str]) -> dict[str, str]:
    """What a service's commands see: nothing of ours but a system PATH, a private HOME and TMPDIR, and its own."""
    private = folder / "private" / side.service
    for name in ("home", "tmp"):
        (private / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        "PATH": SYSTEM_PATH,
        "HOME": str(private / "home"),
        "TMPDIR": str(private / "tmp"),
        "LANG": "C.UTF-8",
        "SHIPLINE_PROJECT": target.project,
        "SHIPLINE_ENVIRONMENT": target.environment,
        "SHIPLINE_SERVICE": side.service,
        **side.run.environment,
        **secrets,
    }


def resolved(side: Side, resolve: Resolve) -> dict[str, str]:
    """The service's secrets by the variables that carry them."""
    return {variable: resolve(reference) for variable, reference in side.run.secrets.items()}
