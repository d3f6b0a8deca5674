"""What Prefect's server tells of flow runs as it happens: some have become due, some are to be cancelled."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from deployments.prefect_rest import PrefectRest

_logger = logging.getLogger("shipline.host")
_DUE = ("Scheduled", "Resuming", "AwaitingRetry")
"""Names of states: a resumed flow run is Resuming, not Scheduled."""
_CANCELS = ("Cancelling", "Cancelled")
_PREFIX = "prefect.flow-run."
_PAUSE_SECONDS = 1.0
_LONGEST_EVENT = 4 * 1024 * 1024
_FOREVER = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class FlowRunEvent:
    """One flow run changed its state."""

    flow_run: str
    cancels: bool
    occurred: float
    """In seconds since the epoch, by the clock of Prefect's server."""


async def flow_run_events(rest: PrefectRest) -> AsyncIterator[FlowRunEvent | None]:
    """Every such change; reconnects for ever. None whenever it begins to hear: some may have been missed."""
    while True:
        try:
            async with connect(
                f"{rest.api_url().replace('http', 'ws', 1)}/events/out",
                subprotocols=[Subprotocol("prefect")],
                proxy=None,
                max_size=_LONGEST_EVENT,
            ) as connection:
                await _subscribe(connection, rest.auth_string)
                yield None
                async for message in connection:
                    yield _read(json.loads(message)["event"])
        except Exception as error:  # noqa: BLE001  # also of an answer that is not Prefect's: listening must go on
            _logger.debug("listening for flow runs: %s", error or type(error).__name__)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _subscribe(connection: ClientConnection, auth_string: str) -> None:
    """As Prefect's own subscriber does: say who one is, then what one wants to hear."""
    await connection.send(json.dumps({"type": "auth", "token": auth_string}))
    answer = json.loads(await connection.recv())
    if answer["type"] != "auth_success":
        raise ConnectionRefusedError(f"Prefect's server refuses its events: {answer.get('reason', answer['type'])}")
    now = datetime.now(UTC)
    wanted = {
        "event": {"name": [f"{_PREFIX}{name}" for name in (*_DUE, *_CANCELS)]},
        "occurred": {"since": now.isoformat(), "until": (now + _FOREVER).isoformat()},
    }
    await connection.send(json.dumps({"type": "filter", "filter": wanted}))


def _read(event: dict[str, Any]) -> FlowRunEvent:
    name = str(event["event"]).removeprefix(_PREFIX)
    flow_run = str(event["resource"]["prefect.resource.id"]).removeprefix(_PREFIX)
    occurred = datetime.fromisoformat(str(event["occurred"])).timestamp()
    return FlowRunEvent(flow_run, name in _CANCELS, occurred)
