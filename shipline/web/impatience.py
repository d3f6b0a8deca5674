"""HTTP for whoever comes by: a connection on which nobody asks anything is given up, whatever trickles in."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""From the connection, or the first byte of a further request, to the end of that request's head."""


class ImpatientProtocol(H11Protocol):
    """Uvicorn's own, which waits for a head without end."""

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401  # uvicorn's
        """As uvicorn makes it."""
        super().__init__(*given, **named)
        self._giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin to wait."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Wait on, unless that was the whole head."""
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """There is nothing to wait for."""
        self._stop()
        super().connection_lost(exc)

    def _look(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._giving_up is None:
            self._giving_up = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop(self) -> None:
        if self._giving_up:
            self._giving_up.cancel()
        self._giving_up = None
