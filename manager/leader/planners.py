"""The leader's planners, in the order in which they have a say: the first to want a key in a round gets it."""

from __future__ import annotations

from collections.abc import Callable

from api.ids import new_id as random_id
from manager.allocator.allocator import allocator
from manager.orchestrator.orchestrator import orchestrator
from manager.scheduler.scheduler import scheduler
from manager.store.interface import Planner


def planners(new_id: Callable[[], str] = random_id) -> tuple[Planner, ...]:
    """The orchestrator, the allocator and the scheduler. `new_id` names the tasks; simulations hand in their own."""
    return (orchestrator(new_id), allocator, scheduler)
