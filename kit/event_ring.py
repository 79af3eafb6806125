"""A ring buffer of the newest events, in order and numbered."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import Generic, Protocol, TypeVar


class Timed(Protocol):
    """An object with a time in Unix seconds."""

    @property
    def time(self) -> float:
        """The time of the event."""
        ...


E = TypeVar("E", bound=Timed)


class EventRing(Generic[E]):
    """Keeps the newest `most` events. Their numbers count from 1 without a gap."""

    def __init__(self, most: int) -> None:
        self._kept: deque[E] = deque(maxlen=most)
        self._more: asyncio.Event | None = None
        """Set by the next event. Exists only while somebody waits for it."""
        self.last = 0
        """Number of the newest event; 0 before the first."""

    def add(self, event: E) -> None:
        """Append an event and wake those who wait for it."""
        self._kept.append(event)
        self.last += 1
        if self._more is not None:
            self._more.set()
            self._more = None

    def since(self, time: float) -> int:
        """A number for `after`: that of the last event before the first one that is not older than `time`."""
        first = self.last - len(self._kept)
        return next((first + index for index, event in enumerate(self._kept) if event.time >= time), self.last)

    def after(self, number: int) -> list[E]:
        """The events after a number, oldest first, as far as they are still in the ring."""
        missed = min(self.last - number, len(self._kept))
        return list(islice(self._kept, len(self._kept) - missed, None)) if missed > 0 else []

    async def newer(self, number: int) -> None:
        """Wait until there is an event after the number."""
        while self.last <= number:
            if self._more is None:
                self._more = asyncio.Event()
            await self._more.wait()
