"""From a database that answers to an open HTTP API: migrate, connect, serve, dispatch."""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI

from delivery.errors import DeliveryError
from delivery.head_places import HeadPlace
from delivery.home import Home
from shipline.control.components import prepare_database
from shipline.control.control import Control
from shipline.control.credentials import api_token
from shipline.control.door import Door
from shipline.control.entrance import Entrance
from shipline.control.identity import KnownPeople
from shipline.control.plane import ControlPlane
from shipline.control.retention_process import run_retention
from shipline.control.settings import ControlSettings
from shipline.web.opening import GatewayPlace, LazyGateway

_logger = logging.getLogger("shipline.control")
_MIGRATION_PAUSE_SECONDS = 1.0
_RETENTION_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class OpenDoors:
    """What is to be opened: the doors for programs and for people."""

    api: Door
    entrance: Entrance
    people: Door
    place: GatewayPlace


async def open_doors(plane: ControlPlane, doors: OpenDoors, settings: ControlSettings, changed: asyncio.Event) -> None:
    """Migrate the database and open API and gateway as soon as it answers, then dispatch and host until cancelled."""
    create_app = await asyncio.to_thread(_imported_api)
    if not settings.database_url:
        await plane.supervisor.until_ready("postgresql")
    control = await _connected(plane, settings)
    doors.entrance.ports = control.ports
    doors.api.application = create_app(control, doors.entrance, plane.health)
    doors.people.application = gateway = LazyGateway(doors.place, KnownPeople(control.ports, api_token(plane.home)))
    plane.opened = True
    await _tried("starting deployed services", partial(_start_environments, plane.home))
    async with AsyncExitStack() as closing, asyncio.TaskGroup() as tasks:
        closing.push_async_callback(gateway.close)
        tasks.create_task(_dispatch(control, settings.head_places, changed))
        tasks.create_task(plane.hosting.serve(control.ports.operations, control.ports.pace.janitor_seconds))
        tasks.create_task(_retain(plane.home))


def _imported_api() -> Callable[[Control, Entrance, Callable[[], dict[str, Any]]], FastAPI]:
    """Takes a second, on a thread, while PostgreSQL starts."""
    from shipline.control.api import create_app

    return create_app


def _control(plane: ControlPlane, settings: ControlSettings) -> Control:
    from delivery.adapters.embedded import connect

    ports = connect(plane.home, settings.shared_cache, settings.step_isolation, settings.pace)
    return Control(ports, plane.flow_runs)


async def _dispatch(control: Control, places: tuple[HeadPlace, ...], changed: asyncio.Event) -> None:
    """Look at what is to be done whenever something has changed, and now and then, until cancelled."""
    from shipline.control.dispatcher import tick
    from shipline.control.publishing import HeadPublisher

    publisher, looked_thoroughly = HeadPublisher(places), -math.inf
    while True:
        thorough = time.monotonic() - looked_thoroughly > control.ports.pace.janitor_seconds
        if thorough:
            looked_thoroughly = time.monotonic()
            await _tried("keeping deployed services", partial(_keep_environments, control.ports.home))
        if await _tried("dispatching", partial(tick, control, thorough=thorough)) and thorough:
            await _tried("publishing the ledger's heads", partial(publisher.publish, control.ports))
        with suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), control.ports.pace.look_seconds)
        changed.clear()


async def _retain(home: Home) -> None:
    """Forget what ended long ago, now and then, in a process that steps aside for every other."""
    while True:
        await asyncio.sleep(_RETENTION_SECONDS)
        await run_retention(home)


async def _tried(doing: str, act: Callable[[], None]) -> bool:
    """Whether it went well: trouble with one thing must neither end the control plane nor keep the next one off."""
    try:
        await asyncio.to_thread(act)
    except DeliveryError as error:
        _logger.warning("%s: %s", doing, error.message)
    except Exception:  # our own mistake
        _logger.exception("%s", doing)
    else:
        return True
    return False


async def _connected(plane: ControlPlane, settings: ControlSettings) -> Control:
    """The ports on a migrated database; tries again until that works."""
    while True:
        try:
            await asyncio.to_thread(prepare_database, plane.home, settings)
            control = await asyncio.to_thread(_control, plane, settings)
        except DeliveryError as error:
            plane.message = error.message
            _logger.warning("%s", error.message)
            await asyncio.sleep(_MIGRATION_PAUSE_SECONDS)
        else:
            plane.message = ""
            return control


def _start_environments(home: Home) -> None:
    """After a reboot; what runs already goes on."""
    from delivery.adapters.local import start_environments

    start_environments(home)


def _keep_environments(home: Home) -> None:
    """Deployed services have nobody else who would start their dead supervisor again."""
    from delivery.adapters.local import keep_environments

    keep_environments(home)
