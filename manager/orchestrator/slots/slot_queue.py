"""Which slots of a service the next look has to visit, so that a look costs what has changed and not what there is.

Kept beside the service's slots, from look to look. A slot is visited again when one of its tasks or statuses has
changed, when its time has come, or when the last visit wanted something changed (which may not have been written). All
slots are visited anew whenever something else has changed that decides about them: the *frame*.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from kit.delay_queue import Agenda
from manager.orchestrator.slots.update_tally import SlotKey, Survey


class Unrest:
    """The slots of one service to be visited by the parts of the orchestrator that go slot by slot."""

    def __init__(self) -> None:
        self.changed: set[SlotKey] = set()
        """Of which a task or status has changed since the last look."""
        self.to_settle: set[SlotKey] = set()
        self.to_reap: set[SlotKey] = set()
        self.timers: Agenda[SlotKey] = Agenda()
        """When slots that wait are to be settled."""
        self._survey: Survey | None = None
        self._frame: Hashable = None
        self._next: Hashable = None

    @property
    def survey(self) -> Survey:
        """Where the slots of an update are."""
        if self._survey is None:
            self._survey = Survey()
        return self._survey

    def forget_survey(self) -> None:
        """Nothing is being updated."""
        self._survey = None

    def begin(self, frame: Hashable, now: float, unsettled: Iterable[SlotKey]) -> bool:
        """Begin a look; whether it has to visit all slots. `frame`: what else decides about them; None: not known."""
        new = frame is None or frame != self._frame
        if new:
            self.to_settle, self.to_reap = set(unsettled), set(unsettled)
            self.timers, self._survey = Agenda(), None
        else:
            self._take_in(now)
        self.changed = set()
        self._next, self._frame = frame, None  # a look that breaks off is made anew
        return new

    def _take_in(self, now: float) -> None:
        for slot in self.changed:
            self.timers.drop(slot)
            self.to_settle.add(slot)
            self.to_reap.add(slot)
            if self._survey is not None:
                self._survey.spoil(slot)
        self.to_settle.update(self.timers.due(now))

    def distrust(self) -> None:
        """The next look has to visit all slots again: this one saw changes that may not come to be written."""
        self._next = None

    def end(self) -> None:
        """The look is made."""
        self._frame = self._next
