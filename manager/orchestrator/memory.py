"""The orchestrator's memory between rounds: for each service, the slots that the next pass has to visit.

It only saves work: with an empty memory every slot is visited, and the plan is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from api.objects.wanted import Service
from manager.orchestrator.slots.slot_queue import SlotQueue
from manager.orchestrator.slots.slots import slot_of
from manager.store.state import Dirty, State


@dataclass(slots=True)
class Memory:
    """The orchestrator's part of the leader's memory."""

    queues: dict[str, SlotQueue] = field(default_factory=dict)
    """By service id; a service that has not been visited yet has no queue."""

    def take_in(self, state: State, dirty: Dirty) -> None:
        """Queue the slots with a changed task or status. Services without a queue are visited completely."""
        for id in dirty.tasks:
            task = state.tasks.get(id) or dirty.gone.get(id)
            if task is None or isinstance(task, Service):
                continue
            if (queue := self.queues.get(task.service_id)) is not None:
                queue.changed.add(slot_of(task))

    def queue(self, service_id: str) -> SlotQueue:
        """A service's queue; a new queue visits every slot."""
        if (queue := self.queues.get(service_id)) is None:
            queue = self.queues[service_id] = SlotQueue()
        return queue
