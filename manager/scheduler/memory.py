"""The scheduler's memory between rounds: ranked nodes, why groups wait, and where tasks keep failing."""

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
        """By service and revision: the nodes' answers for groups with tasks left over in the last round."""
        self._pools: NodePools | None = None

    def pools(self, state: State) -> NodePools:
        """The up-to-date pools of a state's nodes. Memory of another state is dropped."""
        nodes, load = state.index(NodeSet), state.index(Load)
        if self._pools is None or self._pools.nodes is not nodes or self._pools.load is not load:
            self._pools, self.unschedulable = NodePools(nodes, load), {}
        self._pools.catch_up()
        return self._pools
