"""The node set: the facts of every node, an index of the state. Resources that tasks use up are in node_load.py."""

from __future__ import annotations

from dataclasses import dataclass

from api.objects.kinds import DESCRIPTION, NODE, NODE_DECISION
from api.objects.observed import NodeDescription
from api.objects.wanted import Node
from api.states import Availability, NodeState
from kit.change_log import ChangeLog
from manager.store.state import Event, State

_UNKNOWN = NodeDescription(os="")


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """The properties of a node that placement checks, apart from the tasks on it."""

    node: Node
    seen: NodeDescription
    ready: bool


class NodeSet:
    """An index of the state: every node's facts."""

    def __init__(self, state: State) -> None:
        self.facts: dict[str, NodeFacts] = {}
        """Facts by node id."""
        self.changed = ChangeLog()
        """Nodes that are new, are gone, or have other facts."""
        self._state = state
        for id in state.nodes:
            self._read(id)

    def follow(self, event: Event) -> None:
        """Update for a change of a node, wanted, decided or observed."""
        if event.kind in (NODE, NODE_DECISION, DESCRIPTION):
            self._read(event.id)

    def _read(self, id: str) -> None:
        self.changed.note((id,))
        if (node := self._state.nodes.get(id)) is None:
            self.facts.pop(id, None)
            return
        decision = self._state.node_decisions.get(id)
        active = node.spec.availability is Availability.ACTIVE
        ready = active and decision is not None and decision.state is NodeState.READY
        self.facts[id] = NodeFacts(node, self._state.descriptions.get(id, _UNKNOWN), ready)
