"""Slots for steps: so many at once, and of those that wait the one with the longest way to go comes first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from itertools import count


class StepSlots:
    """In one event loop."""

    def __init__(self, slots: int) -> None:
        """How many steps run side by side."""
        self._free = slots
        self._numbers = count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def taken(self, seconds_to_go: float) -> AsyncIterator[None]:
        """Wait for a slot, and give it back afterwards."""
        await self._take(seconds_to_go)
        try:
            yield
        finally:
            self._give_back()

    async def _take(self, seconds_to_go: float) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (-seconds_to_go, next(self._numbers), turn))
        self._next()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back()
            raise

    def _give_back(self) -> None:
        self._free += 1
        self._next()

    def _next(self) -> None:
        while self._free and self._waiting:
            _, _, turn = heappop(self._waiting)
            if not turn.done():
                self._free -= 1
                turn.set_result(None)
