"""PostgreSQL below the home: made where there is none, started, looked at and stopped.

Whoever supervises processes takes `command` and `ready`; tests take `start` and `stop`. A process id
alone is never believed: after a crash it may be anybody's.
"""

import os
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGQUIT
from urllib.parse import urlsplit

import psutil
from filelock import FileLock

from delivery.adapters.postgresql.urls import DatabaseUrls, at_port, read_urls, write_urls
from delivery.adapters.postgresql_cluster import PostgresqlCluster, ServerCommand, free_port, last_line
from delivery.errors import TransientError
from delivery.home import Home


class EmbeddedPostgresql:
    """One home's server. SIGINT to the process that `command` starts is a clean, fast stop."""

    def __init__(self, home: Home, settings: Mapping[str, str] | None = None) -> None:
        self._home = home
        self._data = home.postgresql
        self._cluster = PostgresqlCluster(home, settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def urls(self) -> DatabaseUrls:
        """Of every role, at the port used last; NotFoundError before `prepare`."""
        return read_urls(self._home)

    def prepare(self, known: DatabaseUrls | None = None) -> None:
        """Make the cluster with its roles and databases, if it is not there. Safe to call at every start.

        `known` are an earlier embedded server's URLs: a cluster that is made gets their passwords.
        """
        self._home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(self._home.root / "postgresql.lock"):
            if not self._cluster.whole:
                self._cluster.make(known)
            elif self.process_id() is None:
                self._clear_stale()
                self._cluster.refresh()

    def command(self) -> ServerCommand:
        """How to start the server now: what a crash left is cleared, and another port taken if the last one is.

        TransientError when it runs already.
        """
        running = self.process_id()
        if running is not None:
            raise TransientError(f"starting PostgreSQL for {self._home.root}: it runs already as process {running}")
        self._clear_stale()
        port = self._port()
        return self._cluster.run("postgres", "-D", str(self._data), "-c", f"port={port}")

    def process_id(self) -> int | None:
        """Of the server that runs on this home's data, whoever started it; None when none does."""
        lines = self._lock_lines()
        process = _process(int(lines[0]), self._data) if lines and lines[0].isdigit() else None
        return process.pid if process else None

    def ready(self) -> bool:
        """Whether it accepts connections."""
        lines = self._lock_lines()
        if len(lines) < 8 or lines[7] != "ready" or self.process_id() is None:  # noqa: PLR2004  # the status line
            return False
        try:
            socket.create_connection(("127.0.0.1", int(lines[3])), timeout=1).close()
        except OSError:
            return False
        return True

    def start(self, timeout_seconds: float = 30) -> None:
        """Start in the background and return when ready; does nothing when it runs."""
        if self.process_id() is None:
            self._reap()
            command = self.command()
            self._home.control_logs.mkdir(parents=True, exist_ok=True)
            with (self._home.control_logs / "postgresql.log").open("ab") as log:
                self._process = subprocess.Popen(
                    command.arguments,
                    env=dict(command.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        self._wait_ready(time.monotonic() + timeout_seconds)

    def stop(self, timeout_seconds: float = 20) -> None:
        """Stop cleanly; after the time, at once (the next start then recovers). Does nothing when it is down."""
        for signal, seconds in ((SIGINT, timeout_seconds), (SIGQUIT, 5.0), (SIGKILL, 5.0)):
            running = self.process_id()
            if running is None:
                break
            with suppress(ProcessLookupError):
                os.kill(running, signal)
            self._wait_gone(time.monotonic() + seconds)
        self._reap()

    def _reap(self) -> None:
        """End what we started, if it is not the server by now, and take note of its end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _port(self) -> int:
        """The port used last, or a free one when somebody else has it now."""
        urls = self.urls
        port = urlsplit(urls.admin).port or 0
        if not _is_free(port):
            port = free_port()
            write_urls(self._home, at_port(urls, port))
        return port

    def _lock_lines(self) -> list[str]:
        try:
            return [line.strip() for line in (self._data / "postmaster.pid").read_text().splitlines()]
        except FileNotFoundError:
            return []

    def _clear_stale(self) -> None:
        """After a crash: end what the dead server left running, and forget its process id, which may be reused."""
        deadline = time.monotonic() + 2
        while orphans := _orphans(self._data):
            if time.monotonic() > deadline:
                for orphan in orphans:
                    orphan.kill()
            time.sleep(0.02)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _wait_ready(self, deadline: float) -> None:
        while not self.ready():
            if self._process is not None and self._process.poll() is not None:
                raise TransientError(
                    f"starting PostgreSQL: it ended with {self._process.returncode}: {self._log_end()}"
                )
            if time.monotonic() > deadline:
                raise TransientError(f"starting PostgreSQL: not ready in time: {self._log_end()}")
            time.sleep(0.02)

    def _wait_gone(self, deadline: float) -> None:
        while self.process_id() is not None and time.monotonic() < deadline:
            if self._process is not None:
                self._process.poll()  # a zombie would count as running
            time.sleep(0.02)

    def _log_end(self) -> str:
        return last_line((self._home.control_logs / "postgresql.log").read_text(errors="replace"))


def _process(pid: int, data: Path) -> psutil.Process | None:
    """The process, if it is alive and a PostgreSQL in this data folder: a process id says nothing by itself."""
    try:
        process = psutil.Process(pid)
        arguments = process.cmdline()
        folders = [Path(folder).resolve() for option, folder in pairwise(arguments) if option == "-D"]
        return process if process.name() == "postgres" and data.resolve() in folders else None
    except psutil.Error:
        return None


def _orphans(data: Path) -> list[psutil.Process]:
    """What a killed server left: its children have other arguments, but stand in the same folder."""
    return [process for process in psutil.process_iter() if _is_orphan(process, data)]


def _is_orphan(process: psutil.Process, data: Path) -> bool:
    try:
        return process.name() == "postgres" and Path(process.cwd()) == data.resolve()
    except psutil.Error:
        return False  # gone, or of another account: then PostgreSQL itself refuses to start beside it


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return port != 0
