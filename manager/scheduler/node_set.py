"""The nodes, sorted out in advance: which fit a placement, and in which order they are to be taken.

Both are kept from one round to the next. What a round costs is then not the number of nodes, but the number of those
that changed since (the roster's journal for facts, that of `Load` for tasks). Services that ask for the same share the
answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from api.objects.kinds import DESCRIPTION, NODE, NODE_DECISION
from api.objects.node_matching import attribute
from api.objects.observed import NodeDescription
from api.objects.wanted import Node
from api.service.placement import Placement, Platform
from api.states import Availability, NodeState
from manager.scheduler.filters import fits_for_good
from manager.scheduler.node_load import Journal, Load
from manager.scheduler.node_ranking import Order
from manager.store.state import Event, State

Ask = tuple[tuple[str, ...], tuple[Platform, ...]]
"""What a placement asks of a node that no task on it can change: constraints and platforms."""
Values = tuple[str, ...]
"""What a node has under the keys of a service's spread preferences."""
_UNKNOWN = NodeDescription(os="")
MOST_MEMBERS = 1_000_000
"""Nodes in all pools together: beyond that the pools not used for longest are forgotten."""


@dataclass(frozen=True, slots=True)
class Host:
    """The facts of a node."""

    node: Node
    seen: NodeDescription
    ready: bool


class Roster:
    """A view of the state: every node's facts, and the pools."""

    def __init__(self, state: State) -> None:
        self.load = state.view(Load)
        self.hosts: dict[str, Host] = {}
        self.numbers: dict[str, int] = {}
        """A number for each node that ever was."""
        self.facts = Journal()
        """Nodes whose facts have changed."""
        self._state = state
        self._pools: dict[Ask, Pool] = {}
        self._news = dict.fromkeys(state.nodes)
        self.catch_up()
        self.pool(Placement()).parts(())  # what most services ask for

    def follow(self, event: Event) -> None:
        """Note whose facts have changed."""
        if event.kind in (NODE, NODE_DECISION, DESCRIPTION):
            self._news[event.id] = None

    def catch_up(self) -> None:
        """Look at the nodes whose facts have changed."""
        if not (news := self._news):
            return
        nodes, decisions, descriptions = self._state.nodes, self._state.node_decisions, self._state.descriptions
        for id in news:
            self.numbers.setdefault(id, len(self.numbers))
            if (node := nodes.get(id)) is None:
                self.hosts.pop(id, None)
                continue
            ready = node.spec.availability is Availability.ACTIVE
            if ready:
                decision = decisions.get(id)
                ready = decision is not None and decision.state is NodeState.READY
            self.hosts[id] = Host(node, descriptions.get(id, _UNKNOWN), ready)
        self.facts.note(news)
        self._news = {}

    def pool(self, placement: Placement) -> Pool:
        """The nodes that fit a placement, up to date."""
        ask = (tuple(placement.constraints), tuple(placement.platforms))
        if (pool := self._pools.pop(ask, None)) is None:
            pool = Pool(self, placement)
        self._pools[ask] = pool  # the one used last is the last
        if pool.catch_up():
            self._forget()
        return pool

    def _forget(self) -> None:
        members = sum(len(pool.members) for pool in self._pools.values())
        while members > MOST_MEMBERS and len(self._pools) > 1:
            members -= len(self._pools.pop(next(iter(self._pools))).members)


class Pool:
    """The nodes that fit, as long as their facts do not change. What tasks use up is no matter here."""

    def __init__(self, roster: Roster, placement: Placement) -> None:
        self.members: dict[str, Host] = {}
        self._roster = roster
        self._placement = placement
        self._parts: dict[Values, Parts] = {}
        self._judged = -1
        """How far it has read of the roster's journal."""
        self._counted = -1
        """And of the load's."""

    def parts(self, keys: Values) -> Parts:
        """The members, parted by what they have under some keys, and in order."""
        if (parts := self._parts.get(keys)) is None:
            parts = self._parts[keys] = Parts(keys, self._roster.load)
            parts.put(self.members, self.members)
        return parts

    def catch_up(self) -> bool:
        """Take in what has changed; whether facts have."""
        facts, load, known = self._roster.facts, self._roster.load.journal, True
        if self._judged != facts.end:
            known, news = False, facts.since(self._judged) if self._judged >= 0 else None
            hosts = self._roster.hosts
            self._judge([*hosts, *(self.members.keys() - hosts.keys())] if news is None else dict.fromkeys(news))
            self._judged = facts.end
        if self._counted != load.end:
            changed = load.since(self._counted) if self._counted >= 0 else None
            if changed is None or len(changed) > len(self.members):
                changed = list(self.members)
            for parts in self._parts.values():
                parts.recount(changed)
            self._counted = load.end
        return not known

    def have_got(self, order: Order, ids: list[str]) -> None:
        """Members that are in one order have got tasks, and that is all there is in the journal since the last look."""
        order.recount(ids)
        if len(self._parts) == 1:
            self._counted = self._roster.load.journal.end

    def _judge(self, ids: Collection[str]) -> None:
        hosts, placement, members = self._roster.hosts, self._placement, self.members
        ready = [id for id in ids if (host := hosts.get(id)) is not None and host.ready]
        if placement.constraints or placement.platforms:
            ready = [id for id in ready if fits_for_good(placement, hosts[id].node, hosts[id].seen)]
        unfit = [*(members.keys() & ids).difference(ready)] if members else []
        for id in unfit:
            del members[id]
        members.update(zip(ready, map(hosts.__getitem__, ready), strict=True))
        for parts in self._parts.values():
            parts.drop(unfit)
            parts.put(members, ready)


class Parts:
    """Members of a pool, parted by what they have under some keys; all in one part if there is no key."""

    def __init__(self, keys: Values, load: Load) -> None:
        self.orders: dict[Values, Order] = {}
        self.place: dict[str, Values] = {}
        """Where each node is."""
        self._keys = keys
        self._tasks = load.tasks

    def put(self, hosts: dict[str, Host], ids: Collection[str]) -> None:
        """Nodes are new, or have other facts."""
        new: dict[Values, list[str]] = {}
        if self._keys:
            for id in ids:
                values = tuple([attribute(key, hosts[id].node, hosts[id].seen) for key in self._keys])
                if self.place.get(id) != values:
                    new.setdefault(values, []).append(id)
            self.drop(id for some in new.values() for id in some if id in self.place)
        elif some := [id for id in ids if id not in self.place]:
            new[()] = some
        for values, some in new.items():
            if (order := self.orders.get(values)) is None:
                order = self.orders[values] = Order(self._tasks)
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
