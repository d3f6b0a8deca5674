"""Throw-away services as local processes, gone with the step, also when Shipline is killed.

Each runs under the Runner, on a thread of its own, so that stopping, sweeping up and the guarantee
against outliving Shipline are the same as for a step.
"""

import contextlib
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from delivery.adapters.throwaway_postgresql import ThrowawayPostgresql
from delivery.config import CommandFixture, Fixture, PostgresqlFixture, Readiness
from delivery.errors import ConfigurationError, DeliveryError, TransientError
from delivery.isolation import Isolation, Visible
from delivery.ports import Runner
from delivery.runner import Exit, ProcessSpec, command_arguments, describe_exit, step_environment

_LOOK_SECONDS = 0.03
_PROBE_SECONDS = 5.0
_FOR_EVER_SECONDS = 30 * 86_400.0
_POSTGRESQL_READY_SECONDS = 60.0

Output = Callable[[bytes], None]


class ProcessFixtures:
    """Fixtures on 127.0.0.1 of this machine.

    `work` holds data while a fixture lives; `cache` keeps what makes the next start fast.
    """

    def __init__(self, runner: Runner, work: Path, cache: Path) -> None:
        self._runner = runner
        self._work = work
        self._cache = cache

    @contextlib.contextmanager
    def start(
        self, fixture: Fixture, folder: Path, output: Output, isolation: Isolation | None = None
    ) -> Iterator[Mapping[str, str]]:
        self._work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fixture-", dir=self._work, ignore_cleanup_errors=True) as private:
            seen = isolation.showing(Visible(Path(private), writable=True)) if isolation else None
            if fixture.postgresql:
                started = self._postgresql(fixture.postgresql, Path(private), output, seen)
            elif fixture.run:
                started = self._command(fixture.run, Path(private), folder, output, seen)
            else:
                raise ConfigurationError("starting a fixture: it says neither 'postgresql' nor 'run'")
            with started as variables:
                yield variables

    @contextlib.contextmanager
    def _postgresql(
        self, asked: PostgresqlFixture, private: Path, output: Output, seen: Isolation | None
    ) -> Iterator[Mapping[str, str]]:
        """Isolated, too: the step is its superuser, who may have it read any file and start any program.

        Not as root: then it runs as another account, with capabilities that isolating root takes away.
        """
        port = _port(asked.port)
        server = ThrowawayPostgresql(asked, private / "data", port)
        server.prepare(self._cache)
        spec = ProcessSpec(server.arguments, private, server.environment, _FOR_EVER_SECONDS, stop_grace_seconds=5.0)
        spec = replace(spec, isolation=None if os.geteuid() == 0 else seen)
        with _running(self._runner, spec, output) as process:
            _wait("PostgreSQL", server.ready, process, _POSTGRESQL_READY_SECONDS)
            yield server.variables

    @contextlib.contextmanager
    def _command(
        self, asked: CommandFixture, private: Path, folder: Path, output: Output, seen: Isolation | None
    ) -> Iterator[Mapping[str, str]]:
        port = _port(None)
        for name in ("bin", "home", "tmp"):
            (private / name).mkdir()
        environment = {**step_environment(private, asked.environment), "PORT": str(port)}
        spec = ProcessSpec(_arguments(asked.command, port), folder, environment, _FOR_EVER_SECONDS, isolation=seen)
        with _running(self._runner, spec, output) as process:
            ready = self._readiness(asked.ready, port, spec, output)
            _wait(f"'{spec.arguments[-1]}'", ready, process, asked.ready.timeout_seconds)
            yield {"PORT": str(port)} | {
                name: value.replace("{port}", str(port)) for name, value in asked.provides.items()
            }

    def _readiness(self, asked: Readiness, port: int, service: ProcessSpec, output: Output) -> Callable[[], bool]:
        if asked.command is not None:
            probe = replace(service, arguments=_arguments(asked.command, port), timeout_seconds=_PROBE_SECONDS)
            return lambda: self._runner.run(probe, output, threading.Event()).succeeded
        path = asked.http
        return (lambda: _answers(port, path)) if path is not None else (lambda: _accepts(port))


@dataclass(slots=True)
class _Process:
    """A process on a thread; how it ended, or what the runner raised."""

    stop: threading.Event = field(default_factory=threading.Event)
    ended: Exit | DeliveryError | OSError | None = None

    def run(self, runner: Runner, spec: ProcessSpec, output: Output) -> None:
        try:
            self.ended = runner.run(spec, output, self.stop)
        except (DeliveryError, OSError) as error:
            self.ended = error


@contextlib.contextmanager
def _running(runner: Runner, spec: ProcessSpec, output: Output) -> Iterator[_Process]:
    process = _Process()
    thread = threading.Thread(target=process.run, args=(runner, spec, output), name="shipline-fixture")
    thread.start()
    try:
        yield process
    finally:
        process.stop.set()
        thread.join()


def _wait(what: str, ready: Callable[[], bool], process: _Process, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if process.ended is not None:
            raise TransientError(
                f"starting the fixture {what}: {_ending(process.ended, seconds)} before it was ready",
                hint="its output stands in the step's log",
            )
        if time.monotonic() > deadline:
            raise TransientError(
                f"starting the fixture {what}: not ready within {seconds:g} s",
                hint="its output stands in the step's log",
            )
        time.sleep(_LOOK_SECONDS)


def _ending(ended: Exit | DeliveryError | OSError, seconds: float) -> str:
    return (describe_exit(ended, seconds) or "exited with 0") if isinstance(ended, Exit) else str(ended)


def _arguments(command: str | list[str], port: int) -> tuple[str, ...]:
    return tuple(argument.replace("{port}", str(port)) for argument in command_arguments(command))


def _port(wanted: int | None) -> int:
    """The wanted port if nobody has it, or a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted or 0))
        except OSError as error:
            raise TransientError(
                f"starting a fixture: port {wanted} of 127.0.0.1 is taken", hint="leave 'port' out to get a free one"
            ) from error
        return int(probe.getsockname()[1])


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=_PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def _answers(port: int, path: str) -> bool:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=_PROBE_SECONDS, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.status_code < httpx.codes.BAD_REQUEST
