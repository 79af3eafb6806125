"""The update tally: for a service under update, the progress of each slot (see update_progress.py), and the sums."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import msgspec

from api.objects.decided import Task
from kit.delay_queue import DelayQueue

SlotKey = int | str
DOWN, UP = 1, 2
"""Ranks of outdated slots: slots that do not run are replaced first, because nothing is lost."""


class SlotProgress(msgspec.Struct, frozen=True, gc=False):
    """The progress of one slot."""

    rank: int = 0
    """DOWN or UP: outdated, and its replacement has not begun; else 0."""
    busy: bool = False
    """Its replacement is in progress."""
    down: bool = False
    """It is outdated or its replacement is in progress, and none of its tasks runs."""
    done: bool = False
    """Its task is of the wanted revision, and runs."""
    since: float = 0.0
    """When that task started, by its agent's clock (Unix seconds)."""
    again: float = 0.0
    """When to measure again if nothing changes before (Unix seconds); 0: never."""
    stuck: Task | None = None
    """A task of the wanted revision that does not run."""


NOTHING = SlotProgress()


class OutdatedSlots:
    """Outdated slots whose replacement has not begun, in the order of replacement."""

    def __init__(self) -> None:
        self._ranks: dict[SlotKey, int] = {}
        self._heap: list[tuple[int, bool, SlotKey]] = []

    def __len__(self) -> int:
        return len(self._ranks)

    def __iter__(self) -> Iterator[SlotKey]:
        return iter(self.first(len(self)))

    def put(self, slot: SlotKey, rank: int) -> None:
        """Add a slot, or take it out (rank 0)."""
        if self._ranks.get(slot, 0) == rank:
            return
        if not rank:
            del self._ranks[slot]
            return
        self._ranks[slot] = rank
        heapq.heappush(self._heap, (rank, isinstance(slot, str), slot))
        if len(self._heap) > 2 * len(self._ranks) + 64:
            self._heap = [(rank, isinstance(slot, str), slot) for slot, rank in self._ranks.items()]
            heapq.heapify(self._heap)

    def first(self, number: int) -> list[SlotKey]:
        """The first `number` slots, or fewer if there are not as many."""
        found: list[tuple[int, bool, SlotKey]] = []
        while self._heap and len(found) < number:
            entry = heapq.heappop(self._heap)
            if self._ranks.get(entry[2]) == entry[0] and (not found or entry != found[-1]):
                found.append(entry)
        for entry in found:
            heapq.heappush(self._heap, entry)
        return [slot for _, _, slot in found]


class UpdateTally:
    """The progress of all slots of a service, and the sums."""

    def __init__(self) -> None:
        self.waiting = OutdatedSlots()
        self.busy = 0
        self.down = 0
        self.done = 0
        self.stuck: set[SlotKey] = set()
        self._progress: dict[SlotKey, SlotProgress] = {}
        self._newest: list[tuple[float, bool, SlotKey]] = []
        self._timers: DelayQueue[SlotKey] = DelayQueue()
        self._invalid: set[SlotKey] = set()
        self._begun = False

    def invalidate(self, slot: SlotKey) -> None:
        """Mark the progress of a slot as possibly out of date."""
        if self._begun:
            self._invalid.add(slot)

    def take_invalid(self, slots: set[SlotKey], now: float) -> list[SlotKey]:
        """The slots to be measured now; all of `slots` the first time."""
        if not self._begun:
            self._begun, self._invalid = True, set(slots)
        invalid, self._invalid = self._invalid, set()
        return list(invalid.union(self._timers.due(now)))

    def put(self, slot: SlotKey, progress: SlotProgress) -> None:
        """Set the progress of a slot; NOTHING removes it."""
        old = self._progress.pop(slot, NOTHING)
        if progress is not NOTHING:
            self._progress[slot] = progress
        self.busy += progress.busy - old.busy
        self.down += progress.down - old.down
        self.done += progress.done - old.done
        self.waiting.put(slot, progress.rank)
        (self.stuck.discard if progress.stuck is None else self.stuck.add)(slot)
        if progress.since and progress.since != old.since:
            heapq.heappush(self._newest, (-progress.since, isinstance(slot, str), slot))
        if progress.again:
            self._timers.put(slot, progress.again)
        else:
            self._timers.drop(slot)

    def last(self) -> float:
        """When the newest task started (Unix seconds); 0.0 if none has."""
        while self._newest:
            since, _, slot = self._newest[0]
            if self._progress.get(slot, NOTHING).since == -since:
                return -since
            heapq.heappop(self._newest)
        return 0.0

    def again(self) -> float | None:
        """When the next slot is to be measured again; None: never."""
        return self._timers.next_time()

    def first_stuck(self) -> Task | None:
        """The stuck task of the lowest slot that has one."""
        first = min(self.stuck, key=lambda slot: (isinstance(slot, str), slot), default=None)
        return None if first is None else self._progress[first].stuck
