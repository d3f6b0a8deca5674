"""Where the control plane listens and which database it uses."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from delivery.errors import ConfigurationError, TransientError
from delivery.head_places import HeadPlace, head_places
from delivery.isolation import IsolationMode
from delivery.pace import Pace
from delivery.retention import Retention
from delivery.shared_cache import SharedCacheSettings
from shipline.web.settings import GatewaySettings

_MEGABYTE = 1024**2
_MOST_DAYS = 36_500
_MOST_MEGABYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """Set by environment variables; whatever is not set is embedded, on 127.0.0.1 and a free port."""

    host: str = "127.0.0.1"
    """`SHIPLINE_HOST`: where the HTTP API and the gateway listen. Everything else listens on 127.0.0.1 always."""
    port: int | None = None
    """`SHIPLINE_PORT`: of the HTTP API."""
    prefect_port: int | None = None
    """`SHIPLINE_PREFECT_PORT`: of Prefect's API and pages."""
    gateway_port: int | None = None
    """`SHIPLINE_GATEWAY_PORT`: of the gateway, the door for people; it listens where the HTTP API does."""
    database_url: str | None = None
    """`SHIPLINE_DATABASE_URL`: of your own PostgreSQL, as a role with CREATEDB and CREATEROLE."""
    database_name: str = "shipline"
    """`SHIPLINE_DATABASE_NAME`: there; two installations on one server need two names."""
    shared_cache: SharedCacheSettings | None = None
    """`SHIPLINE_CACHE_URL` and `SHIPLINE_CACHE_ENDPOINT_URL`: a bucket for results that others read too."""
    head_places: tuple[HeadPlace, ...] = ()
    """`SHIPLINE_PUBLISH_HEADS`: where the ledger's signed heads are told besides the home."""
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    """`SHIPLINE_GATEWAY_*`: whom the gateway believes who they are."""
    step_isolation: IsolationMode = IsolationMode.AUTO
    """`SHIPLINE_STEP_ISOLATION`: `auto`, `off` or `required`."""
    pace: Pace = field(default_factory=Pace)
    """`SHIPLINE_LEASE_SECONDS`, `SHIPLINE_LOOK_SECONDS` and `SHIPLINE_JANITOR_SECONDS`."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "ControlSettings":
        """As the environment says; ConfigurationError for what is no such value."""
        return cls(
            host=environment.get("SHIPLINE_HOST") or "127.0.0.1",
            port=_port(environment, "SHIPLINE_PORT"),
            prefect_port=_port(environment, "SHIPLINE_PREFECT_PORT"),
            gateway_port=_port(environment, "SHIPLINE_GATEWAY_PORT"),
            database_url=environment.get("SHIPLINE_DATABASE_URL") or None,
            database_name=environment.get("SHIPLINE_DATABASE_NAME") or "shipline",
            shared_cache=SharedCacheSettings.from_environment(environment),
            head_places=head_places(environment),
            gateway=GatewaySettings.from_environment(environment),
            step_isolation=IsolationMode.from_environment(environment),
            pace=Pace.from_environment(environment),
        )


def retention(environment: Mapping[str, str] = os.environ) -> Retention:
    """What is kept, and for how long, by the environment's `SHIPLINE_KEEP_*`; ConfigurationError for no whole number.

    `RUN_DAYS`, `LOG_MEGABYTES`, `PREFECT_DAYS`, `PREFECT_EVENT_DAYS`, `ENTRY_DAYS`.
    """
    usual = Retention()
    return Retention(
        runs=_days(environment, "SHIPLINE_KEEP_RUN_DAYS", usual.runs),
        log_bytes=_MEGABYTE
        * _number(environment, "SHIPLINE_KEEP_LOG_MEGABYTES", usual.log_bytes // _MEGABYTE, _MOST_MEGABYTES),
        prefect=_days(environment, "SHIPLINE_KEEP_PREFECT_DAYS", usual.prefect),
        prefect_events=_days(environment, "SHIPLINE_KEEP_PREFECT_EVENT_DAYS", usual.prefect_events),
        entries=_days(environment, "SHIPLINE_KEEP_ENTRY_DAYS", usual.entries),
    )


def _days(environment: Mapping[str, str], name: str, usual: timedelta) -> timedelta:
    return timedelta(days=_number(environment, name, usual.days, _MOST_DAYS))


def _number(environment: Mapping[str, str], name: str, usual: int, most: int) -> int:
    text = environment.get(name) or str(usual)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= most:
        raise ConfigurationError(f"reading {name}: it must be a whole number from 1 to {most}, got '{text}'")
    return int(text)


def listen(settings: ControlSettings, remembered: int | None) -> socket.socket:
    """A socket for the HTTP API: on the port asked for, else the one used last, else a free one.

    ConfigurationError when what was asked for cannot be had.
    """
    return _listening(settings.host, settings.port, remembered, "SHIPLINE_PORT")


def listen_for_people(settings: ControlSettings, remembered: int | None) -> socket.socket:
    """The same for the gateway."""
    return _listening(settings.host, settings.gateway_port, remembered, "SHIPLINE_GATEWAY_PORT")


def _listening(host: str, wanted: int | None, remembered: int | None, setting: str) -> socket.socket:
    for port in (wanted,) if wanted else (remembered, 0):
        try:
            listening = socket.create_server((host, port or 0), backlog=128)
        except OSError as error:
            cause = (error.strerror or str(error)).lower()
            failed = error
        else:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or every second answer waits for 40 ms
            return listening
    raise ConfigurationError(
        f"listening on {host}:{wanted or 0}: {cause}", hint=f"choose another port: {setting}"
    ) from failed


def free_port(wanted: int | None, remembered: int | None) -> int:
    """A port on 127.0.0.1: the one asked for, else the one used last if it is free, else a free one."""
    if wanted:
        return wanted
    for port in (remembered or 0, 0):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)) as probe:
            return int(probe.getsockname()[1])
    raise TransientError("looking for a free port on 127.0.0.1: there is none")


class PrefectAddress:
    """Where Prefect's server listens: chosen anew for each of its starts, since somebody may have the port by then."""

    def __init__(self, port: int, wanted: int | None = None) -> None:
        """`port` is that of a server which runs already, or the one to try first; `wanted` allows no other."""
        self.port = port
        self._wanted = wanted

    @property
    def url(self) -> str:
        """Of its pages; the API is below `/api`."""
        return f"http://127.0.0.1:{self.port}"

    def choose(self) -> int:
        """The port of the start that follows; ConfigurationError when the one asked for is taken."""
        if self._wanted and free_port(None, self._wanted) != self._wanted:
            raise ConfigurationError(
                f"starting Prefect: port {self._wanted} (SHIPLINE_PREFECT_PORT) is taken",
                hint="end what listens there or choose another port: SHIPLINE_PREFECT_PORT",
            )
        self.port = free_port(self._wanted, self.port)
        return self.port


def _port(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name)
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:  # noqa: PLR2004  # TCP's ports
        raise ConfigurationError(f"reading {name}: it must be a port from 1 to 65535, got '{text}'")
    return int(text)
