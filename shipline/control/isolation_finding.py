"""Whether steps are isolated on this machine: found out by isolating a command that does nothing."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Event

from delivery.adapters.process_runner import ProcessRunner
from delivery.errors import DeliveryError
from delivery.isolation import MODE, Isolation, IsolationMode, Visible
from delivery.runner import SYSTEM_PATH, Exit, ProcessSpec
from shipline.control.finding import Finding

_SETTINGS = (
    ("user.max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
    ("kernel.unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    (
        "kernel.apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for Python with `userns,`",
    ),
)
"""Of the kernel: its name, the value with which nobody but root makes namespaces, and what allows it."""
_CONTAINER = (
    "in a container allow namespaces and show all of /proc"
    " (docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
    " --security-opt systempaths=unconfined)"
)


def isolation_finding() -> Finding:
    """Of a machine where `required` is set, but steps cannot be isolated, it is required."""
    try:
        mode = IsolationMode.from_environment()
        ended = _tried(IsolationMode.OFF if mode is IsolationMode.OFF else IsolationMode.AUTO)
    except DeliveryError as error:
        return Finding("isolation", error.message, error.hint or f"correct {MODE}")
    hint = _what_to_do(mode, ended)
    found = "steps see their own processes and files only" if ended.isolated else "steps are not isolated"
    exposed = f"{', but' if ended.isolated else ':'} {ended.exposure}" if ended.exposure else ""
    return Finding("isolation", found + exposed, hint, required=mode is IsolationMode.REQUIRED and not ended.isolated)


def how_to_allow(setting: Callable[[str], str | None]) -> str:
    """What lets an ordinary user isolate a command; `setting` gives the kernel's by their names."""
    return next((remedy for name, refused, remedy in _SETTINGS if setting(name) == refused), _CONTAINER)


def _what_to_do(mode: IsolationMode, ended: Exit) -> str:
    if mode is IsolationMode.OFF:
        return f"unset {MODE}, unless steps need sudo"
    if not ended.isolated:
        return how_to_allow(_setting)
    if not ended.exposure:
        return ""
    return "run Shipline as an account of its own" + ("" if os.geteuid() == 0 else " that cannot write there")


def _tried(mode: IsolationMode) -> Exit:
    with tempfile.TemporaryDirectory(prefix="shipline-doctor-") as folder:
        place = Path(folder)
        isolation = Isolation(place, (Visible(place),))
        spec = ProcessSpec(("true",), place, {"PATH": SYSTEM_PATH}, timeout_seconds=20, isolation=isolation)
        return ProcessRunner(mode).run(spec, lambda _chunk: None, Event())


def _setting(name: str) -> str | None:
    try:
        return Path("/proc/sys", *name.split(".")).read_text().strip()
    except OSError:
        return None
