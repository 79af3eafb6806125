"""The local view every store keeps: the state, who tracks it, and who waits for it to move."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from itertools import count

from manager.store.state import Dirty, Event, State


class Cache:
    """The reading half of the port `Store`. Only the store behind it advances it."""

    def __init__(self) -> None:
        self._state = State()
        self._trackers: list[Dirty] = []
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        """Who waits for a revision greater than the first number; the second only breaks ties."""
        self._numbers = count()

    @property
    def state(self) -> State:
        """What is known of the cluster."""
        return self._state

    def track(self) -> Dirty:
        """A new Dirty with everything in it, that collects what changes from now on."""
        dirty = Dirty()
        self._state.mark_all(dirty)
        self._trackers.append(dirty)
        return dirty

    def untrack(self, dirty: Dirty) -> None:
        """Stop collecting into it."""
        self._trackers = [tracker for tracker in self._trackers if tracker is not dirty]

    async def wait_newer(self, revision: int) -> None:
        """Until `state.revision` is greater."""
        while self._state.revision <= revision:
            moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (revision, next(self._numbers), moved))
            await moved

    def advance(self, events: Sequence[Event], revision: int) -> None:
        """Apply what the store says has changed up to `revision`, and wake those who wait for just that.

        With many commits under way, waking all of them for each revision would cost more than the commits.
        """
        self._state.apply(events, revision, self._trackers)
        while self._waiting and self._waiting[0][0] < self._state.revision:
            moved = heapq.heappop(self._waiting)[2]
            if not moved.done():
                moved.set_result(None)

    def replace(self, rows: Sequence[Event], revision: int) -> None:
        """Make the state exactly `rows`, the whole content of the store at `revision`."""
        self.advance(self._state.replace_all(rows, revision), revision)
