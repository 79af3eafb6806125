"""The leader's planners, in order of precedence: the first that changes a key in a round wins."""

from __future__ import annotations

from collections.abc import Callable

from api.ids import new_id as random_id
from manager.allocator.allocator import allocator
from manager.leader.memory import Memory
from manager.orchestrator.orchestrator import orchestrator
from manager.plan import Plan, Planner
from manager.scheduler.scheduler import scheduler
from manager.store.state import Dirty, State


def planners(new_id: Callable[[], str] = random_id) -> tuple[Planner[Memory], ...]:
    """The orchestrator, the allocator and the scheduler, each with its own part of the leader's memory.

    `new_id` creates task ids; simulations pass their own.
    """
    make_tasks = orchestrator(new_id)

    def orchestrate(state: State, memory: Memory, dirty: Dirty, now: float) -> Plan:
        return make_tasks(state, memory.orchestrator, dirty, now)

    def allocate(state: State, memory: Memory, dirty: Dirty, now: float) -> Plan:
        return allocator(state, memory.allocator, dirty, now)

    def schedule(state: State, memory: Memory, dirty: Dirty, now: float) -> Plan:
        return scheduler(state, memory.scheduler, dirty, now)

    return orchestrate, allocate, schedule
