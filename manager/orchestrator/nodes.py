"""Nodes: whether they live, and which of their tasks have to go.

A node with a session is READY; one that had a session and has none is DOWN; one never seen is UNKNOWN and left alone.
Tasks on a node that is down, drained, removed or no longer meets their constraints are told to shut down; their slots
see to the replacement. Tasks of a removed node, or of one that is down for ORPHAN_TIMEOUT, are called ORPHANED.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from api import defaults
from api.objects import NODE_DECISION, NodeDecision
from api.states import GOING, NodeState, TaskState
from manager.draft import Draft
from manager.orchestrator import fitness
from manager.orchestrator.slots import ServiceSlots, Slots, is_done

UNMET = "assigned node no longer meets constraints"


def look_at_node(draft: Draft, slots: Slots, node_id: str) -> None:
    """Decide a node's state and what becomes of its tasks."""
    if draft.state.nodes.get(node_id) is None:
        draft.delete(NODE_DECISION, node_id)
        _orphan(draft, node_id, "the node was removed")
        return
    decision = _decide_state(draft, node_id)
    if reason := fitness.unfit(draft, node_id):
        stop_tasks(draft, node_id, reason)
    else:
        enforce_constraints(draft, slots, node_id)
    if decision.state is NodeState.DOWN:
        _give_up(draft, node_id, decision)


def stop_tasks(draft: Draft, node_id: str, reason: str, service_id: str = "") -> None:
    """Have a node's tasks stopped, or only those of one service."""
    for task in list(draft.state.tasks_on(node_id).values()):
        if task.desired in GOING and service_id in ("", task.service_id) and not is_done(draft.state, task):
            draft.put_task(task, desired=TaskState.SHUTDOWN, message=reason)


def enforce_constraints(draft: Draft, slots: Slots, node_id: str) -> None:
    """Stop tasks on a node that does not meet the constraints their services have now."""
    for service_id in slots.services_on(node_id):
        if not meets(draft, service_id, node_id):
            stop_tasks(draft, node_id, UNMET, service_id)


def enforce_on_service(draft: Draft, slots: ServiceSlots, service_id: str) -> None:
    """Stop a service's tasks on all nodes that do not meet the constraints it has now."""
    for node_id in list(slots.nodes):
        if not meets(draft, service_id, node_id):
            stop_tasks(draft, node_id, UNMET, service_id)


def meets(draft: Draft, service_id: str, node_id: str) -> bool:
    """Whether a node meets the constraints of the service's revision in force."""
    decision = draft.state.service_decisions.get(service_id)
    revision = draft.state.revisions_of(service_id).get(decision.revision) if decision else None
    return revision is None or fitness.allowed(draft.state, revision.spec.task_template, node_id)


def _decide_state(draft: Draft, node_id: str) -> NodeDecision:
    old = draft.state.node_decisions.get(node_id) or NodeDecision()
    state = old.state
    if node_id in draft.state.sessions:
        state = NodeState.READY
    elif state is not NodeState.UNKNOWN:
        state = NodeState.DOWN
    if state is old.state:
        return old
    message = "its agent does not answer" if state is NodeState.DOWN else ""
    new = replace(old, state=state, since=draft.now, message=message)
    draft.put(NODE_DECISION, node_id, new)
    return new


def _give_up(draft: Draft, node_id: str, decision: NodeDecision) -> None:
    lost = decision.since + defaults.ORPHAN_TIMEOUT
    if draft.now >= lost:
        _orphan(draft, node_id, "the node has been down for too long")
    elif draft.state.tasks_on(node_id):
        draft.again("nodes", node_id, lost)


def _orphan(draft: Draft, node_id: str, reason: str) -> None:
    for task in list(draft.state.tasks_on(node_id).values()):
        if draft.state.task_state(task).is_terminal:
            continue
        changes: dict[str, Any] = {"state": TaskState.ORPHANED, "message": reason}
        if task.desired in GOING:
            changes["desired"] = TaskState.SHUTDOWN
        draft.put_task(task, **changes)
