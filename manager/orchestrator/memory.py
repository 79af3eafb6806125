"""What the orchestrator keeps between rounds: for each service, which slots the next pass has to visit.

It saves work and nothing else: with an empty memory every slot is visited, and the plan is the same.
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
    """By service; none for a service that has not been visited yet."""

    def take_in(self, state: State, dirty: Dirty) -> None:
        """Note the slots of which a task or its status has changed. Services without a queue need no note."""
        for id in dirty.tasks:
            task = state.tasks.get(id) or dirty.gone.get(id)
            if task is None or isinstance(task, Service):
                continue
            if (queue := self.queues.get(task.service_id)) is not None:
                queue.changed.add(slot_of(task))

    def queue(self, service_id: str) -> SlotQueue:
        """A service's queue; a new one has every slot in it."""
        if (queue := self.queues.get(service_id)) is None:
            queue = self.queues[service_id] = SlotQueue()
        return queue
