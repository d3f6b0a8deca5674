"""What Prefect's server tells of flow runs as it happens: some have become due, some are to be cancelled."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from prefect.events import Event
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter

_logger = logging.getLogger("prefect.shipline.worker")
_DUE = ("Scheduled", "Resuming", "AwaitingRetry")
"""Names of states: a resumed flow run is Resuming, not Scheduled."""
_CANCELS = ("Cancelling", "Cancelled")
_PREFIX = "prefect.flow-run."
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class FlowRunEvent:
    """One flow run changed its state."""

    flow_run: UUID
    cancels: bool


async def flow_run_events() -> AsyncIterator[FlowRunEvent]:
    """Every such change from now on; reconnects for ever, and may miss some meanwhile: nobody should rely on it."""
    wanted = EventFilter(event=EventNameFilter(name=[f"{_PREFIX}{name}" for name in (*_DUE, *_CANCELS)]))
    while True:
        try:
            async with get_events_subscriber(filter=wanted) as events:
                async for event in events:
                    yield _read(event)
        except Exception as error:  # noqa: BLE001  # whatever the websocket's library raises when the server goes
            _logger.warning("listening for flow runs: %s", error or type(error).__name__)
        await asyncio.sleep(_PAUSE_SECONDS)


def _read(event: Event) -> FlowRunEvent:
    name = event.event.removeprefix(_PREFIX)
    return FlowRunEvent(UUID(event.resource.id.removeprefix(_PREFIX)), cancels=name in _CANCELS)
