"""The constraint enforcer: stops tasks when their node has less resources than they reserve.

A machine may come back with less memory, or without a device. The oldest tasks stay, as far as they fit; the others are
stopped, and their slots find another node or report why there is none. The sums come from the scheduler's `Load`, so
the usual case (everything fits) reads no tasks. Source: swarmkit orchestrator/constraintenforcer.
"""

from __future__ import annotations

from collections import Counter

from api.objects.decided import Task
from api.reasons.reason import Code, reason
from api.service.resources import Reservations
from api.states import GOING, TaskState
from manager.orchestrator.slots.slots import in_order, is_done
from manager.plan import PlanBuilder
from manager.scheduler.node_load import Demand, Load, Named

GONE = reason(Code.RESOURCES_GONE)


def enforce_resources(builder: PlanBuilder, node_id: str) -> None:
    """Stop the tasks that no longer fit on a node."""
    seen = builder.state.descriptions.get(node_id)
    offered = seen.resources.reservations if seen is not None and seen.resources else None
    if offered is None:
        return
    load, headroom = builder.state.index(Load), ResourceHeadroom(offered)
    sums = load.of(node_id)
    if headroom.holds(sums.nano_cpus, sums.memory_bytes, sums.discrete, sums.named):
        return
    for task in in_order(builder.state.tasks_on(node_id).values()):
        if task.desired not in GOING or builder.state.has_ended(task) or is_done(builder.state, task):
            continue  # it is leaving anyway
        if not headroom.take(task, load.demand_of(task)):
            builder.put_task(task, desired=TaskState.SHUTDOWN, reason=GONE)


class ResourceHeadroom:
    """The resources that a node still has for tasks."""

    def __init__(self, offered: Reservations) -> None:
        self._nano_cpus, self._memory = offered.nano_cpus, offered.memory_bytes
        self._discrete: Counter[str] = Counter()
        self._named: set[Named] = set()
        for generic in offered.generic_resources:
            if counted := generic.discrete_resource_spec:
                self._discrete[counted.kind] += counted.value
            elif named := generic.named_resource_spec:
                self._named.add((named.kind, named.value))

    def holds(self, nano_cpus: int, memory: int, discrete: dict[str, int], named: dict[Named, int]) -> bool:
        """Whether all of these are available."""
        return (
            nano_cpus <= self._nano_cpus
            and memory <= self._memory
            and all(number <= self._discrete[kind] for kind, number in discrete.items())
            and named.keys() <= self._named
        )

    def take(self, task: Task, demand: Demand) -> bool:
        """Subtract a task's resources, if they are available. Returns whether they were."""
        discrete: Counter[str] = Counter()
        named: dict[Named, int] = {}
        for given in task.generic_resources:
            if counted := given.discrete_resource_spec:
                discrete[counted.kind] += counted.value
            elif one := given.named_resource_spec:
                named[one.kind, one.value] = 1
        if not self.holds(demand.nano_cpus, demand.memory_bytes, discrete, named):
            return False
        self._nano_cpus -= demand.nano_cpus
        self._memory -= demand.memory_bytes
        self._discrete -= discrete
        self._named -= named.keys()
        return True
