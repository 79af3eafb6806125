"""The newest events, in order and numbered."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import Generic, Protocol, TypeVar


class Timed(Protocol):
    """What has a time, in Unix seconds."""

    @property
    def time(self) -> float:
        """When it happened."""
        ...


E = TypeVar("E", bound=Timed)


class EventRing(Generic[E]):
    """Keeps the newest `most` events. Their numbers count from 1 without a gap."""

    def __init__(self, most: int) -> None:
        self._kept: deque[E] = deque(maxlen=most)
        self._more: asyncio.Event | None = None
        """Set with the next event; only while somebody waits for it."""
        self.last = 0
        """Number of the newest event; 0 when there was none."""

    def add(self, event: E) -> None:
        """Something has happened."""
        self._kept.append(event)
        self.last += 1
        if self._more is not None:
            self._more.set()
            self._more = None

    def since(self, time: float) -> int:
        """The number after which the kept events are not older than `time`."""
        first = self.last - len(self._kept)
        return next((first + index for index, event in enumerate(self._kept) if event.time >= time), self.last)

    def after(self, number: int) -> list[E]:
        """What happened after that one, oldest first, as far as it is kept."""
        missed = min(self.last - number, len(self._kept))
        return list(islice(self._kept, len(self._kept) - missed, None)) if missed > 0 else []

    async def newer(self, number: int) -> None:
        """Until there is an event after that one."""
        while self.last <= number:
            if self._more is None:
                self._more = asyncio.Event()
            await self._more.wait()
