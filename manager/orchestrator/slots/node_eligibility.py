"""Node eligibility: whether a node can keep or take tasks of a service, apart from the other tasks on it."""

from __future__ import annotations

from api.objects.kinds import NODE, NODE_DECISION
from api.objects.node_matching import matches, runs_on
from api.reasons.reason import Code, Reason, reason
from api.service.service_spec import TaskSpec
from api.states import Availability, NodeState
from manager.plan import PlanBuilder
from manager.store.state import State


def unfit(builder: PlanBuilder, node_id: str) -> Reason | None:
    """Why a node can keep no tasks at all; None if it can. A node that has never connected keeps its tasks."""
    node, decision = builder.get(NODE, node_id), builder.get(NODE_DECISION, node_id)
    if node is None:
        return reason(Code.NODE_REMOVED)
    if decision is not None and decision.state is NodeState.DOWN:
        return reason(Code.NODE_DOWN)
    if node.spec.availability is Availability.DRAIN:
        return reason(Code.NODE_DRAINED)
    return None


def is_lost(builder: PlanBuilder, node_id: str) -> bool:
    """Whether tasks there cannot be stopped, because the node was removed or is down."""
    decision = builder.get(NODE_DECISION, node_id)
    return builder.get(NODE, node_id) is None or (decision is not None and decision.state is NodeState.DOWN)


def allowed(state: State, template: TaskSpec, node_id: str) -> bool:
    """Whether a node meets the constraints."""
    placement, node = template.placement, state.nodes.get(node_id)
    if placement is None or not placement.constraints:
        return True
    return node is not None and matches(placement.constraints, node, state.descriptions.get(node_id))


def suits(state: State, template: TaskSpec, node_id: str) -> bool:
    """Whether a node meets the constraints and has one of the platforms."""
    return allowed(state, template, node_id) and runs_on(template.placement, state.descriptions.get(node_id))
