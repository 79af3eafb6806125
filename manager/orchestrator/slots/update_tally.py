"""Where the slots of a service under update are: the verdict on each (see progress.py), and their sums."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import msgspec

from api.objects.decided import Task
from kit.delay_queue import DelayQueue

SlotKey = int | str
DOWN, UP = 1, 2
"""Ranks of outdated slots: those that do not run are replaced first, for it costs nothing."""


class SlotProgress(msgspec.Struct, frozen=True, gc=False):
    """Where one slot is."""

    rank: int = 0
    """DOWN or UP: outdated, and nothing done about it yet."""
    busy: bool = False
    """It is being worked on."""
    done: bool = False
    """Its task is what is wanted, and runs."""
    since: float = 0.0
    """When that task took off, by its agent's clock."""
    again: float = 0.0
    """When to judge anew, if nothing changes before; 0: never."""
    stuck: Task | None = None
    """A task that is what is wanted, and does not run."""


NOTHING, BUSY = SlotProgress(), SlotProgress(busy=True)


class OutdatedSlots:
    """Outdated slots that nothing is done about yet; in the order they are to be replaced."""

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
        """So many from the front, as far as there are."""
        found: list[tuple[int, bool, SlotKey]] = []
        while self._heap and len(found) < number:
            entry = heapq.heappop(self._heap)
            if self._ranks.get(entry[2]) == entry[0] and (not found or entry != found[-1]):
                found.append(entry)
        for entry in found:
            heapq.heappush(self._heap, entry)
        return [slot for _, _, slot in found]


class UpdateTally:
    """The verdicts on all slots of a service, and their sums."""

    def __init__(self) -> None:
        self.waiting = OutdatedSlots()
        self.busy = 0
        self.done = 0
        self.stuck: set[SlotKey] = set()
        self._verdicts: dict[SlotKey, SlotProgress] = {}
        self._newest: list[tuple[float, bool, SlotKey]] = []
        self._timers: DelayQueue[SlotKey] = DelayQueue()
        self._invalid: set[SlotKey] = set()
        self._begun = False

    def invalidate(self, slot: SlotKey) -> None:
        """What was said of a slot may not hold any more."""
        if self._begun:
            self._invalid.add(slot)

    def take_invalid(self, slots: set[SlotKey], now: float) -> list[SlotKey]:
        """The slots to be judged now; all of `slots` at first."""
        if not self._begun:
            self._begun, self._invalid = True, set(slots)
        invalid, self._invalid = self._invalid, set()
        return list(invalid.union(self._timers.due(now)))

    def put(self, slot: SlotKey, verdict: SlotProgress) -> None:
        """Where a slot is now; NOTHING for one that does not count."""
        old = self._verdicts.pop(slot, NOTHING)
        if verdict is not NOTHING:
            self._verdicts[slot] = verdict
        self.busy += verdict.busy - old.busy
        self.done += verdict.done - old.done
        self.waiting.put(slot, verdict.rank)
        (self.stuck.discard if verdict.stuck is None else self.stuck.add)(slot)
        if verdict.since and verdict.since != old.since:
            heapq.heappush(self._newest, (-verdict.since, isinstance(slot, str), slot))
        if verdict.again:
            self._timers.put(slot, verdict.again)
        else:
            self._timers.drop(slot)

    def last(self) -> float:
        """When the newest task took off; 0.0 when none has."""
        while self._newest:
            since, _, slot = self._newest[0]
            if self._verdicts.get(slot, NOTHING).since == -since:
                return -since
            heapq.heappop(self._newest)
        return 0.0

    def again(self) -> float | None:
        """When the next verdict has to be looked at again."""
        return self._timers.next_time()

    def first_stuck(self) -> Task | None:
        """The stuck task of the first slot that has one."""
        first = min(self.stuck, key=lambda slot: (isinstance(slot, str), slot), default=None)
        return None if first is None else self._verdicts[first].stuck
