"""What has happened on this host, for `docker events`: the newest MOST events of containers, images and volumes.

The runtime tells of what it did and saw; nothing depends on it. It begins when the daemon starts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from kit.timing import Clock

MOST = 1024
"""Events kept. Docker keeps 256."""


@dataclass(frozen=True, slots=True)
class HostEvent:
    """One thing that happened. Names of types, actions and attributes are Docker's (moby daemon/events)."""

    time: float
    type: str
    action: str
    id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


class Journal:
    """The newest events, in order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: deque[HostEvent] = deque(maxlen=MOST)
        self._more = asyncio.Event()
        self.last = 0
        """How many there have been."""

    def tell(self, type: str, action: str, id: str, attributes: Mapping[str, str] | None = None) -> None:
        """Something has happened just now."""
        self._kept.append(HostEvent(self._clock(), type, action, id, attributes or {}))
        self.last += 1
        self._more.set()
        self._more = asyncio.Event()

    def since(self, time: float) -> int:
        """How many events there had been before those that are not older than `time`."""
        older = sum(1 for event in self._kept if event.time < time)
        return self.last - len(self._kept) + older

    def after(self, number: int) -> list[HostEvent]:
        """What came after the first `number` events, oldest first, as far as it is kept."""
        missed = min(self.last - number, len(self._kept))
        return list(islice(self._kept, len(self._kept) - missed, None)) if missed > 0 else []

    async def newer(self, number: int) -> None:
        """Until there have been more events than `number`."""
        while self.last <= number:
            await self._more.wait()
