"""Keys with the time each is due: the delays that planners return, kept as data rather than as timers."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class DelayQueue(Generic[K]):
    """At most one due time per key; a newer one replaces the older."""

    def __init__(self) -> None:
        self._times: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0

    def put(self, key: K, time: float) -> None:
        """Make the key due at `time` (Unix seconds)."""
        if self._times.get(key) == time:
            return
        self._times[key] = time
        self._count += 1  # breaks ties, so that keys are never compared
        heapq.heappush(self._heap, (time, self._count, key))
        if len(self._heap) > 2 * len(self._times) + 64:
            self._forget_replaced()

    def drop(self, key: K) -> None:
        """Remove a key's due time, if it has one."""
        self._times.pop(key, None)

    def due(self, now: float) -> Iterator[K]:
        """Remove and return the keys that are due, earliest first."""
        while (time := self.next_time()) is not None and time <= now:
            key = heapq.heappop(self._heap)[2]
            del self._times[key]
            yield key

    def next_time(self) -> float | None:
        """When the next key is due; None when there is none."""
        while self._heap and self._times.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _forget_replaced(self) -> None:
        self._heap = [entry for entry in self._heap if self._times.get(entry[2]) == entry[0]]
        heapq.heapify(self._heap)
