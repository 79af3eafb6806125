"""The nodes, sorted out in advance: which fit a placement, and in which order they are to be taken.

Part of the scheduler's memory. What a round costs is then not the number of nodes, but the number of those that changed
since (the change logs of `NodeSet` for facts, of `Load` for tasks). Services that ask for the same share the answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from api.objects.node_matching import attribute
from api.service.placement import Placement, Platform
from kit.change_log import ChangeLog
from manager.scheduler.filters import fits_for_good
from manager.scheduler.node_load import Load
from manager.scheduler.node_ranking import NodeRanking
from manager.scheduler.node_set import NodeFacts, NodeSet

Ask = tuple[tuple[str, ...], tuple[Platform, ...]]
"""What a placement asks of a node that no task on it can change: constraints and platforms."""
Values = tuple[str, ...]
"""What a node has under the keys of a service's spread preferences."""
MOST_MEMBERS = 1_000_000
"""Nodes in all pools together: beyond that the pools not used for longest are forgotten."""


class NodePools:
    """The pools that services have asked for, over the indexes of one state. Begin a round with `catch_up`."""

    def __init__(self, nodes: NodeSet, load: Load) -> None:
        self.nodes = nodes
        self.load = load
        self.tasks: dict[str, int] = {}
        """By node: how many tasks, those among them that a round is placing."""
        self.changed = ChangeLog()
        """Nodes with another number of tasks."""
        self.numbers: dict[str, int] = {}
        """A number for each node that ever was asked."""
        self._counted = -1
        """How far the load's changes were read."""
        self._pools: dict[Ask, NodePool] = {}
        self.catch_up()
        self.pool(Placement()).branches(())  # what most services ask for

    def catch_up(self) -> None:
        """Take in what has changed since the last round."""
        log = self.load.changed
        if self._counted != log.end:
            ids = log.since(self._counted)
            self.recount(self.load.tasks.keys() | self.tasks.keys() if ids is None else set(ids))
            self._counted = log.end

    def recount(self, ids: Collection[str]) -> None:
        """Nodes have as many tasks as the state says: they have changed, or what was placed is taken back."""
        tasks, load = self.tasks, self.load.tasks
        for id in ids:
            if number := load.get(id, 0):
                tasks[id] = number
            else:
                tasks.pop(id, None)
        self.changed.note(ids)

    def place(self, ids: Collection[str]) -> None:
        """Each of the nodes has got one task more."""
        tasks = self.tasks
        for id in ids:
            tasks[id] = tasks.get(id, 0) + 1
        self.changed.note(ids)

    def pool(self, placement: Placement) -> NodePool:
        """The nodes that fit a placement, up to date."""
        ask = (tuple(placement.constraints), tuple(placement.platforms))
        if (pool := self._pools.pop(ask, None)) is None:
            pool = NodePool(self, placement)
        self._pools[ask] = pool  # the one used last is the last
        if pool.catch_up():
            self._forget()
        return pool

    def _forget(self) -> None:
        members = sum(len(pool.members) for pool in self._pools.values())
        while members > MOST_MEMBERS and len(self._pools) > 1:
            members -= len(self._pools.pop(next(iter(self._pools))).members)


class NodePool:
    """The nodes that fit, as long as their facts do not change. What tasks use up is no matter here."""

    def __init__(self, pools: NodePools, placement: Placement) -> None:
        self.members: dict[str, NodeFacts] = {}
        self._pools = pools
        self._placement = placement
        self._branches: dict[Values, NodeBranches] = {}
        self._judged = -1
        """How far it has read of the changes of facts."""
        self._counted = -1
        """And of those of the numbers of tasks."""

    def branches(self, keys: Values) -> NodeBranches:
        """The members, parted by what they have under some keys, and in order."""
        if (branches := self._branches.get(keys)) is None:
            branches = self._branches[keys] = NodeBranches(keys, self._pools.tasks)
            branches.put(self.members, self.members)
        return branches

    def catch_up(self) -> bool:
        """Take in what has changed. Returns whether facts have."""
        facts, tasks, known = self._pools.nodes.changed, self._pools.changed, True
        if self._judged != facts.end:
            known, news, nodes = False, facts.since(self._judged), self._pools.nodes.facts
            self._judge([*nodes, *(self.members.keys() - nodes.keys())] if news is None else dict.fromkeys(news))
            self._judged = facts.end
        if self._counted != tasks.end:
            changed = tasks.since(self._counted)
            if changed is None or len(changed) > len(self.members):
                changed = list(self.members)
            for branches in self._branches.values():
                branches.recount(changed)
            self._counted = tasks.end
        return not known

    def have_got(self, order: NodeRanking, ids: list[str]) -> None:
        """Members that are in one order have got tasks, and that is all that was noted since it caught up last."""
        order.recount(ids)
        if len(self._branches) == 1:
            self._counted = self._pools.changed.end

    def _judge(self, ids: Collection[str]) -> None:
        nodes, placement, members = self._pools.nodes.facts, self._placement, self.members
        ready = [id for id in ids if (facts := nodes.get(id)) is not None and facts.ready]
        if placement.constraints or placement.platforms:
            ready = [id for id in ready if fits_for_good(placement, nodes[id].node, nodes[id].seen)]
        unfit = [*(members.keys() & ids).difference(ready)] if members else []
        for id in unfit:
            del members[id]
        members.update(zip(ready, map(nodes.__getitem__, ready), strict=True))
        for branches in self._branches.values():
            branches.drop(unfit)
            branches.put(members, ready)


class NodeBranches:
    """Members of a pool, parted by what they have under some keys; all in one branch if there is no key."""

    def __init__(self, keys: Values, tasks: Mapping[str, int]) -> None:
        self.orders: dict[Values, NodeRanking] = {}
        self.place: dict[str, Values] = {}
        """Where each node is."""
        self._keys = keys
        self._tasks = tasks

    def put(self, nodes: Mapping[str, NodeFacts], ids: Collection[str]) -> None:
        """Nodes are new, or have other facts."""
        new: dict[Values, list[str]] = {}
        if self._keys:
            for id in ids:
                values = tuple([attribute(key, nodes[id].node, nodes[id].seen) for key in self._keys])
                if self.place.get(id) != values:
                    new.setdefault(values, []).append(id)
            self.drop(id for some in new.values() for id in some if id in self.place)
        elif some := [id for id in ids if id not in self.place]:
            new[()] = some
        for values, some in new.items():
            if (order := self.orders.get(values)) is None:
                order = self.orders[values] = NodeRanking(self._tasks)
            order.add(some)
            self.place.update(dict.fromkeys(some, values))

    def drop(self, ids: Iterable[str]) -> None:
        """Nodes are members no more."""
        for id in ids:
            values = self.place.pop(id)
            self.orders[values].drop(id)
            if not self.orders[values]:
                del self.orders[values]

    def recount(self, ids: Iterable[str]) -> None:
        """Nodes, members or not, may have another number of tasks."""
        if len(self.orders) == 1:
            for order in self.orders.values():
                order.recount(ids)
            return
        at: dict[Values, list[str]] = {}
        for id in ids:
            if (values := self.place.get(id)) is not None:
                at.setdefault(values, []).append(id)
        for values, some in at.items():
            self.orders[values].recount(some)
