"""The slot queue: the slots of a service that the next pass has to visit, so that a pass costs only what has changed.

Part of the orchestrator's memory. A slot is visited again when one of its tasks or statuses has changed, when its timer
is due, or when the last visit asked for a change (whose commit may have failed). All slots are visited when anything
else that decides about them has changed: the *slot inputs*.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from kit.delay_queue import DelayQueue
from manager.orchestrator.slots.update_tally import SlotKey, UpdateTally


class SlotQueue:
    """The slots of one service to be visited by the steps that work slot by slot."""

    def __init__(self) -> None:
        self.changed: set[SlotKey] = set()
        """Slots with a task or status that has changed since the last pass."""
        self.to_repair: set[SlotKey] = set()
        self.to_reap: set[SlotKey] = set()
        self.timers: DelayQueue[SlotKey] = DelayQueue()
        """When waiting slots are to be repaired."""
        self._tally: UpdateTally | None = None
        self._inputs: Hashable = None
        self._next: Hashable = None

    @property
    def tally(self) -> UpdateTally:
        """The progress of the slots in an update."""
        if self._tally is None:
            self._tally = UpdateTally()
        return self._tally

    def forget_tally(self) -> None:
        """Drop the tally: no update is in progress."""
        self._tally = None

    def begin(self, inputs: Hashable, now: float, unconverged: Iterable[SlotKey]) -> bool:
        """Begin a pass. Returns whether it has to visit all slots. `inputs`: the slot inputs; None: unknown."""
        new = inputs is None or inputs != self._inputs
        if new:
            self.to_repair, self.to_reap = set(unconverged), set(unconverged)
            self.timers, self._tally = DelayQueue(), None
        else:
            self._take_in(now)
        self.changed = set()
        self._next, self._inputs = inputs, None  # an interrupted pass is repeated completely
        return new

    def _take_in(self, now: float) -> None:
        for slot in self.changed:
            self.timers.drop(slot)
            self.to_repair.add(slot)
            self.to_reap.add(slot)
            if self._tally is not None:
                self._tally.invalidate(slot)
        self.to_repair.update(self.timers.due(now))

    def distrust(self) -> None:
        """Visit every slot in the next pass: this one relied on changes whose commit may still fail."""
        self._next = None

    def end(self) -> None:
        """End a pass."""
        self._inputs = self._next
