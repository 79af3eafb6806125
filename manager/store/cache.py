"""Cache: the local copy of the state in every store, with its trackers and waiters."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from itertools import count

from manager.store.state import Dirty, Event, State


class Cache:
    """The reading half of `Store`. Only the store that inherits from it advances it."""

    def __init__(self) -> None:
        self._state = State()
        self._trackers: list[Dirty] = []
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        """Heap of waiters for a revision greater than the first number; the second number breaks ties."""
        self._numbers = count()

    @property
    def state(self) -> State:
        """The state of the cluster."""
        return self._state

    def track(self) -> Dirty:
        """A new Dirty that contains everything, and collects all further changes."""
        dirty = Dirty()
        self._state.mark_all(dirty)
        self._trackers.append(dirty)
        return dirty

    def untrack(self, dirty: Dirty) -> None:
        """Stop collecting changes in `dirty`."""
        self._trackers = [tracker for tracker in self._trackers if tracker is not dirty]

    async def wait_newer(self, revision: int) -> None:
        """Wait until `state.revision` is greater than `revision`."""
        while self._state.revision <= revision:
            moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (revision, next(self._numbers), moved))
            await moved

    def advance(self, events: Sequence[Event], revision: int) -> None:
        """Apply the changes up to `revision`, and wake only those that wait for an older revision to pass.

        With many commits under way, waking all waiters for each revision would cost more than the commits.
        """
        self._state.apply(events, revision, self._trackers)
        while self._waiting and self._waiting[0][0] < self._state.revision:
            moved = heapq.heappop(self._waiting)[2]
            if not moved.done():
                moved.set_result(None)

    def replace(self, rows: Sequence[Event], revision: int) -> None:
        """Set the state to exactly `rows`, the whole content of the store at `revision`."""
        self.advance(self._state.replace_all(rows, revision), revision)
