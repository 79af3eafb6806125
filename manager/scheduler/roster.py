"""The nodes, sorted out in advance: which fit a placement, and in which order they are to be taken.

Both are kept from one round to the next. What a round costs is then not the number of nodes, but the number of those
that changed since (the journal of `Load`) and of the tasks placed. Services that ask for the same share the answer.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from api.objects import DESCRIPTION, NODE, NODE_DECISION, Node, NodeDescription
from api.specs import Placement, Platform
from api.states import Availability, NodeState
from manager.scheduler.filters import fits_for_good
from manager.scheduler.load import EMPTY, Load, NodeLoad
from manager.store.state import Event, State

Ask = tuple[tuple[str, ...], tuple[Platform, ...]]
"""What a placement asks of a node that no task on it can change: constraints and platforms."""
Rank = tuple[int, int, str]
"""Tasks of the service, tasks, id: the least is taken first."""
_UNKNOWN = NodeDescription(os="")
MOST_RANKS = 1_000_000
"""Ranks kept in all orders together, and pools: beyond that those not used for longest are forgotten."""
MOST_POOLS = 64


@dataclass(frozen=True, slots=True)
class Host:
    """The facts of a node."""

    node: Node
    seen: NodeDescription
    ready: bool


class Roster:
    """A view of the state: every node's facts, the pools and the orders."""

    def __init__(self, state: State) -> None:
        self.load = state.view(Load)
        self.hosts: dict[str, Host] = {}
        self._state = state
        self._pools: dict[Ask, Pool] = {}
        self._orders: dict[tuple[Ask, str], Order] = {}
        for id in state.nodes:
            self._look(id)

    def follow(self, event: Event) -> None:
        """Keep up with the facts of a node."""
        if event.kind in (NODE, NODE_DECISION, DESCRIPTION):
            self._look(event.id)

    def _look(self, id: str) -> None:
        state, node = self._state, self._state.nodes.get(id)
        if node is None:
            self.hosts.pop(id, None)
        else:
            ready = state.node_state(id) is NodeState.READY and node.spec.availability is Availability.ACTIVE
            self.hosts[id] = Host(node, state.descriptions.get(id, _UNKNOWN), ready)
        self.load.journal.note(id)

    def pool(self, placement: Placement) -> Pool:
        """The nodes that fit a placement, up to date."""
        ask = (tuple(placement.constraints), tuple(placement.platforms))
        pool = self._pools.pop(ask, None) or Pool(self, placement, ask)
        self._pools[ask] = pool
        if len(self._pools) > MOST_POOLS:
            del self._pools[next(iter(self._pools))]
        pool.catch_up()
        return pool

    def order(self, pool: Pool, service_id: str) -> Order:
        """The nodes of a pool in the order in which a service is to take them; "" for any that has no tasks yet."""
        key = (pool.ask, service_id)
        order = self._orders.pop(key, None)
        if order is None or order.pool is not pool:
            order = Order(pool)
        self._orders[key] = order
        if len(self._orders) * len(self.hosts) > MOST_RANKS and len(self._orders) > 2:
            del self._orders[next(iter(self._orders))]
        return order


class Pool:
    """The nodes that fit, as long as their facts do not change. What tasks use up is no matter here."""

    def __init__(self, roster: Roster, placement: Placement, ask: Ask) -> None:
        self.ask = ask
        self.members: dict[str, Host] = {}
        self._roster = roster
        self._placement = placement
        self._judged: dict[str, Host] = {}
        self._read = -1

    @property
    def load(self) -> Load:
        """What is on the nodes."""
        return self._roster.load

    def catch_up(self) -> None:
        """Judge the nodes whose facts have changed."""
        journal, hosts = self.load.journal, self._roster.hosts
        changed = journal.since(self._read) if self._read >= 0 else None
        if changed is None or len(changed) > len(hosts):
            changed = [*self._judged.keys() - hosts.keys(), *hosts]
        self._read = journal.end
        for id in changed:
            host = hosts.get(id)
            if host is not self._judged.get(id):
                self._judge(id, host)

    def _judge(self, id: str, host: Host | None) -> None:
        if host is None:
            del self._judged[id]
            self.members.pop(id, None)
            return
        self._judged[id] = host
        if host.ready and fits_for_good(self._placement, host.node, host.seen):
            self.members[id] = host
        else:
            self.members.pop(id, None)


class Order:
    """A pool's nodes in a heap. Ranks in it may be out of date: one counts only if it is the node's rank now."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._heap: list[Rank] = []
        self._read = -1

    def catch_up(self, counts: Mapping[str, int], planned: Mapping[str, NodeLoad]) -> None:
        """Take in what has changed; `counts` are the service's tasks, `planned` what a round has put on nodes."""
        journal, members = self.pool.load.journal, self.pool.members
        changed = journal.since(self._read) if self._read >= 0 else None
        if changed is None or len(changed) + len(self._heap) > 3 * len(members) + 64:
            self._heap = ranks_of(members, counts, planned, self.pool.load)
            heapq.heapify(self._heap)
        else:
            for id in set(changed):
                if id in members:
                    heapq.heappush(self._heap, rank_of(id, counts, planned, self.pool.load))
        self.caught_up()

    def caught_up(self) -> None:
        """All that is in the journal now is known."""
        self._read = self.pool.load.journal.end

    def first(self, counts: Mapping[str, int], planned: Mapping[str, NodeLoad]) -> str | None:
        """The node to be taken next, left where it is; None when there is none."""
        heap, members, load = self._heap, self.pool.members, self.pool.load
        while heap:
            rank = heap[0]
            if rank[2] in members and rank == rank_of(rank[2], counts, planned, load):
                return rank[2]
            heapq.heappop(heap)
        return None

    def drop_first(self) -> None:
        """Take the first one out."""
        heapq.heappop(self._heap)

    def replace_first(self, rank: Rank) -> None:
        """The first one has another rank now."""
        heapq.heapreplace(self._heap, rank)

    def add(self, rank: Rank) -> None:
        """Put a node in."""
        heapq.heappush(self._heap, rank)


def rank_of(id: str, counts: Mapping[str, int], planned: Mapping[str, NodeLoad], load: Load) -> Rank:
    """A node's rank for a service."""
    on = planned.get(id) or load.nodes.get(id, EMPTY)
    return (counts.get(id, 0), on.tasks, id)


def ranks_of(ids: Iterable[str], counts: Mapping[str, int], planned: Mapping[str, NodeLoad], load: Load) -> list[Rank]:
    """The ranks of many nodes."""
    on, count, plan = load.nodes.get, counts.get, planned.get
    return [(count(id, 0), (plan(id) or on(id, EMPTY)).tasks, id) for id in ids]
