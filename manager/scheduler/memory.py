"""What the scheduler keeps between rounds: nodes in order, why groups wait, and where tasks keep failing."""

from __future__ import annotations

from manager.scheduler.failures import Failures
from manager.scheduler.node_load import Load
from manager.scheduler.node_pools import NodePools
from manager.scheduler.node_set import NodeSet
from manager.scheduler.unschedulable import Unschedulable
from manager.store.state import State


class Memory:
    """The scheduler's part of the leader's memory."""

    def __init__(self) -> None:
        self.failures = Failures()
        self.unschedulable: dict[tuple[str, int], Unschedulable] = {}
        """By service and revision: what the nodes said to the groups that found no room in the last round."""
        self._pools: NodePools | None = None

    def pools(self, state: State) -> NodePools:
        """The pools over a state's nodes, up to date. What was found out of another state is forgotten."""
        nodes, load = state.index(NodeSet), state.index(Load)
        if self._pools is None or self._pools.nodes is not nodes or self._pools.load is not load:
            self._pools, self.unschedulable = NodePools(nodes, load), {}
        self._pools.catch_up()
        return self._pools
