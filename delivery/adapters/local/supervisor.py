"""The data plane's supervisor: keeps every local environment of one home running, for as long as the home exists.

`python -m delivery.adapters.local.supervisor HOME`. It is nobody's child and needs nobody: stopping or killing the
control plane, or itself, leaves services and routers as they are. The next one adopts them by process id and
start time. SIGTERM ends it and leaves them too; `stop_environments` is what stops them.
"""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from threading import Event

from filelock import FileLock, Timeout

from delivery.adapters import processes
from delivery.adapters.atomic_file import replace_file
from delivery.adapters.local.data_plane import DataPlane, marked_processes
from delivery.adapters.local.reconciling import Environment
from delivery.adapters.local.state import EnvironmentState, local_targets
from delivery.errors import DeliveryError
from delivery.home import Home
from delivery.ports import SecretStore
from delivery.rollout import Target

_LOOK_SECONDS = 0.1
_LOOKS_PER_BEAT = 10
_LOOKS_PER_ROTATION = 100
_HEALTH_CHECK_THREADS = 16
_log = logging.getLogger("supervisor")


class Supervisor:
    """Looks at every environment of a home, again and again."""

    def __init__(self, home: Home, secrets: SecretStore) -> None:
        self._home, self._secrets = home, secrets
        self._looking = ThreadPoolExecutor(_HEALTH_CHECK_THREADS)
        self._environments: dict[Target, Environment] = {}
        self._failures: dict[Target, str] = {}

    def run(self, stopped: Event) -> None:
        """Until it is told to stop, or the home is gone."""
        plane = DataPlane(self._home)
        self._find_environments()
        self._stop_strays()
        looks = 0
        while not stopped.wait(_LOOK_SECONDS) and plane.record.exists():
            self._find_environments()
            for target, environment in self._environments.items():
                self._guarded(target, environment.look)
                if looks % _LOOKS_PER_ROTATION == 0:
                    self._guarded(target, environment.rotate_logs)
            if looks % _LOOKS_PER_ROTATION == 0:
                processes.rotate(plane.log)
            if looks % _LOOKS_PER_BEAT == 0:
                with suppress(FileNotFoundError):
                    os.utime(plane.record)
            looks += 1
        if not self._home.data_plane.exists():
            self._stop_orphans()
        self._looking.shutdown(wait=False, cancel_futures=True)

    def _find_environments(self) -> None:
        for target in local_targets(self._home):
            if target not in self._environments:
                self._guarded(target, partial(self._take_up, target))

    def _take_up(self, target: Target) -> None:
        def resolve(reference: str) -> str:
            return self._secrets.resolve(reference, target.project, target.environment, "service start")

        self._environments[target] = Environment(EnvironmentState(self._home, target), resolve, self._looking)

    def _stop_strays(self) -> None:
        """End what a killed supervisor started and could not write down any more: it would run twice."""
        known = {mark for environment in self._environments.values() for mark in environment.marks}
        for identity, mark in marked_processes(self._home).items():
            if mark not in known:
                _log.warning("stopping process %d, which no state file knows", identity.pid)
                processes.kill(identity)

    def _stop_orphans(self) -> None:
        """Without their home nobody could ever stop them."""
        for identity in marked_processes(self._home):
            processes.kill(identity)

    def _guarded(self, target: Target, look: Callable[[], None]) -> None:
        """One environment that cannot be looked at must not keep the others from being looked at."""
        try:
            look()
        except Exception as error:  # noqa: BLE001  # whatever it is: nobody restarts the supervisor
            if self._failures.get(target) != repr(error):  # it comes ten times a second, and is told once
                understood = isinstance(error, DeliveryError)
                _log.error("%s/%s: %s", target.project, target.environment, error, exc_info=not understood)
            self._failures[target] = repr(error)


def main() -> None:
    """Run until stopped; at once done when this home has a supervisor."""
    home = Home(Path(sys.argv[1]))
    plane = DataPlane(home)
    with suppress(PermissionError):
        os.setsid()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        with FileLock(plane.lock, timeout=0):
            _run(home, plane)
    except Timeout:
        _log.info("another supervisor has this home")


def _run(home: Home, plane: DataPlane) -> None:
    from delivery.adapters.encrypted_secrets import EncryptedSecrets

    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    me = processes.identify(os.getpid())
    if me is None:
        raise RuntimeError("cannot see my own process")
    replace_file(plane.record, json.dumps(asdict(me)).encode())
    Supervisor(home, EncryptedSecrets(home)).run(stopped)


if __name__ == "__main__":
    main()
