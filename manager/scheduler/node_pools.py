"""The node pools: which nodes fit a placement, in which branches, and in which order they are taken.

Part of the scheduler's memory. A round then costs not the number of nodes, but the number of nodes that changed since
the last one (change logs of `NodeSet` for facts, of `Load` for tasks). Services with equal placements share a pool.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from api.objects.node_matching import attribute
from api.service.placement import Placement, Platform
from kit.change_log import ChangeLog
from manager.scheduler.filters import meets_fixed_requirements
from manager.scheduler.node_load import Load
from manager.scheduler.node_ranking import NodeRanking
from manager.scheduler.node_set import NodeFacts, NodeSet

PoolKey = tuple[tuple[str, ...], tuple[Platform, ...]]
"""The requirements of a placement that no task on a node can change: constraints and platforms."""
BranchKey = tuple[str, ...]
"""The values that a node has for the keys of a service's spread preferences."""
MOST_MEMBERS = 1_000_000
"""Nodes in all pools together: beyond that the least recently used pools are dropped."""


class NodePools:
    """The pools that services have used, over the indexes of one state. Begin a round with `catch_up`."""

    def __init__(self, nodes: NodeSet, load: Load) -> None:
        self.nodes = nodes
        self.load = load
        self.tasks: dict[str, int] = {}
        """Number of tasks by node, including those that the current round has placed."""
        self.changed = ChangeLog()
        """Nodes whose number of tasks has changed."""
        self.numbers: dict[str, int] = {}
        """A sequence number for each node that was ever checked."""
        self._counted = -1
        """Position in the load's change log."""
        self._pools: dict[PoolKey, NodePool] = {}
        self.catch_up()
        self.pool(Placement()).branches(())  # the pool of most services

    def catch_up(self) -> None:
        """Apply the changes since the last round."""
        log = self.load.changed
        if self._counted != log.end:
            ids = log.since(self._counted)
            self.recount(self.load.tasks.keys() | self.tasks.keys() if ids is None else set(ids))
            self._counted = log.end

    def recount(self, ids: Collection[str]) -> None:
        """Set the numbers of tasks of nodes from the state: they have changed, or a round's placements are undone."""
        tasks, load = self.tasks, self.load.tasks
        for id in ids:
            if number := load.get(id, 0):
                tasks[id] = number
            else:
                tasks.pop(id, None)
        self.changed.note(ids)

    def place(self, ids: Collection[str]) -> None:
        """Count one more task on each of the nodes."""
        tasks = self.tasks
        for id in ids:
            tasks[id] = tasks.get(id, 0) + 1
        self.changed.note(ids)

    def pool(self, placement: Placement) -> NodePool:
        """The nodes that fit a placement, up to date."""
        key = (tuple(placement.constraints), tuple(placement.platforms))
        if (pool := self._pools.pop(key, None)) is None:
            pool = NodePool(self, placement)
        self._pools[key] = pool  # most recently used: last
        if pool.catch_up():
            self._forget()
        return pool

    def _forget(self) -> None:
        members = sum(len(pool.members) for pool in self._pools.values())
        while members > MOST_MEMBERS and len(self._pools) > 1:
            members -= len(self._pools.pop(next(iter(self._pools))).members)


class NodePool:
    """The nodes that meet a placement's fixed requirements. Resources that tasks use up are not considered here."""

    def __init__(self, pools: NodePools, placement: Placement) -> None:
        self.members: dict[str, NodeFacts] = {}
        self._pools = pools
        self._placement = placement
        self._branches: dict[BranchKey, NodeBranches] = {}
        self._checked = -1
        """Position in the change log of facts."""
        self._counted = -1
        """Position in the change log of numbers of tasks."""

    def branches(self, keys: tuple[str, ...]) -> NodeBranches:
        """The members in branches of equal values for `keys`, each branch ranked."""
        if (branches := self._branches.get(keys)) is None:
            branches = self._branches[keys] = NodeBranches(keys, self._pools.tasks)
            branches.put(self.members, self.members)
        return branches

    def catch_up(self) -> bool:
        """Apply the changes. Returns whether facts have changed."""
        facts, tasks, known = self._pools.nodes.changed, self._pools.changed, True
        if self._checked != facts.end:
            known, news, nodes = False, facts.since(self._checked), self._pools.nodes.facts
            self._check([*nodes, *(self.members.keys() - nodes.keys())] if news is None else dict.fromkeys(news))
            self._checked = facts.end
        if self._counted != tasks.end:
            changed = tasks.since(self._counted)
            if changed is None or len(changed) > len(self.members):
                changed = list(self.members)
            for branches in self._branches.values():
                branches.recount(changed)
            self._counted = tasks.end
        return not known

    def note_placed(self, ranking: NodeRanking, ids: list[str]) -> None:
        """Members of one ranking have got tasks, and nothing else was recorded since the pool caught up last."""
        ranking.recount(ids)
        if len(self._branches) == 1:
            self._counted = self._pools.changed.end

    def _check(self, ids: Collection[str]) -> None:
        nodes, placement, members = self._pools.nodes.facts, self._placement, self.members
        ready = [id for id in ids if (facts := nodes.get(id)) is not None and facts.ready]
        if placement.constraints or placement.platforms:
            ready = [id for id in ready if meets_fixed_requirements(placement, nodes[id].node, nodes[id].seen)]
        unfit = [*(members.keys() & ids).difference(ready)] if members else []
        for id in unfit:
            del members[id]
        members.update(zip(ready, map(nodes.__getitem__, ready), strict=True))
        for branches in self._branches.values():
            branches.drop(unfit)
            branches.put(members, ready)


class NodeBranches:
    """Members of a pool in branches of equal values for some keys; a single branch if there is no key."""

    def __init__(self, keys: tuple[str, ...], tasks: Mapping[str, int]) -> None:
        self.rankings: dict[BranchKey, NodeRanking] = {}
        self.branch_of: dict[str, BranchKey] = {}
        """The branch of each node."""
        self._keys = keys
        self._tasks = tasks

    def put(self, nodes: Mapping[str, NodeFacts], ids: Collection[str]) -> None:
        """Add nodes, or move those whose facts have changed."""
        new: dict[BranchKey, list[str]] = {}
        if self._keys:
            for id in ids:
                values = tuple([attribute(key, nodes[id].node, nodes[id].seen) for key in self._keys])
                if self.branch_of.get(id) != values:
                    new.setdefault(values, []).append(id)
            self.drop(id for some in new.values() for id in some if id in self.branch_of)
        elif some := [id for id in ids if id not in self.branch_of]:
            new[()] = some
        for values, some in new.items():
            if (ranking := self.rankings.get(values)) is None:
                ranking = self.rankings[values] = NodeRanking(self._tasks)
            ranking.add(some)
            self.branch_of.update(dict.fromkeys(some, values))

    def drop(self, ids: Iterable[str]) -> None:
        """Remove nodes."""
        for id in ids:
            values = self.branch_of.pop(id)
            self.rankings[values].drop(id)
            if not self.rankings[values]:
                del self.rankings[values]

    def recount(self, ids: Iterable[str]) -> None:
        """Rank nodes again whose number of tasks may have changed. Nodes that are no members are ignored."""
        if len(self.rankings) == 1:
            for ranking in self.rankings.values():
                ranking.recount(ids)
            return
        at: dict[BranchKey, list[str]] = {}
        for id in ids:
            if (values := self.branch_of.get(id)) is not None:
                at.setdefault(values, []).append(id)
        for values, some in at.items():
            self.rankings[values].recount(some)
