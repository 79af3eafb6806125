"""One scheduling round: the state, plus the placements that this round has planned.

Placements are recorded in the round, so that the next group sees them, and in the pools' numbers of tasks. There they
are undone at the end, because the plan is not committed yet. The indexes of the state are never changed.
"""

from __future__ import annotations

from api.objects.decided import Task
from manager.plan import PlanBuilder
from manager.scheduler import generic_resources
from manager.scheduler.node_load import EMPTY, NOTHING
from manager.scheduler.node_pools import NodePool, NodePools
from manager.scheduler.service_spread import Spread
from manager.scheduler.task_group import Candidate, TaskGroup


class Round:
    """One round. Call `close` at the end."""

    def __init__(self, builder: PlanBuilder, pools: NodePools) -> None:
        self._builder = builder
        self.pools = pools
        self._load = pools.load
        self._spreads: dict[str, Spread] = {}
        """By service, for services of which this round has placed tasks."""
        self._placed: set[str] = set()
        """Nodes that have got tasks."""
        self._candidates: dict[str, Candidate] = {}
        self._own_loads: set[str] = set()
        """Nodes whose candidate has a copy of the load, not the index's."""

    def close(self) -> None:
        """Undo this round's changes in the pools."""
        if self._placed:
            self.pools.recount(self._placed)

    @property
    def size(self) -> int:
        """The number of nodes."""
        return len(self.pools.nodes.facts)

    def pool(self, group: TaskGroup) -> NodePool:
        """The pool of nodes that fit a group."""
        return self.pools.pool(group.placement)

    def enter(self, group: TaskGroup) -> None:
        """Begin with a group: it gets the spread that includes other groups of its service."""
        id = group.service_id
        group.spread = self._spreads.get(id) or self._load.services.get(id) or group.spread

    def candidate(self, id: str) -> Candidate | None:
        """A node with its load; None if the node is gone."""
        found = self._candidates.get(id)
        if found is None and (facts := self.pools.nodes.facts.get(id)) is not None:
            load = self._load.nodes.get(id, EMPTY)
            found = self._candidates[id] = Candidate(id, facts.node, facts.seen, facts.ready, load)
        return found

    def assign(self, group: TaskGroup, tasks: list[Task], ids: list[str], count: int) -> None:
        """Give each task its node. Each of the nodes had `count` of the service's tasks."""
        if group.demand is NOTHING:
            self._builder.assign_tasks(tasks, ids)
        else:
            for task, id in zip(tasks, ids, strict=True):
                self._assign_demanding(group, task, id)
        self._spread(group).move(ids, count, count + 1)
        self.pools.place(ids)
        self._placed.update(ids)

    def _spread(self, group: TaskGroup) -> Spread:
        id = group.service_id
        if (spread := self._spreads.get(id)) is None:
            known = self._load.services.get(id)
            spread = group.spread = self._spreads[id] = known.copy() if known is not None else Spread()
        return spread

    def _assign_demanding(self, group: TaskGroup, task: Task, id: str) -> None:
        demand, node = group.demand, self.candidate(id)
        given = (
            generic_resources.pick(demand, node.seen, node.load) if node and generic_resources.wanted(demand) else None
        )
        task = self._builder.assign_task(task, id, given or [])
        if node is not None:
            if id not in self._own_loads:
                node.load = node.load.copy()
                self._own_loads.add(id)
            node.load.add(task, demand)
