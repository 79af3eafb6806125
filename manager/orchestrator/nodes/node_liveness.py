"""Node liveness: whether nodes are up, and which of their tasks have to stop.

A node with a session is READY, unless the managers have lost its host (hosts/suspicion.py). A node that had a session
and has none is DOWN, except while a new leader waits for agents to reconnect. A node that never had one stays UNKNOWN.
Tasks on a node that is down, removed, no longer meets their constraints or has less than they reserve
(constraint_enforcer.py) are stopped; their slots are repaired. On a drained node this applies only to global services
and jobs; other tasks are relocated step by step (relocation.py).
Tasks of a removed node, or of one that is down for ORPHAN_TIMEOUT, become ORPHANED.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from api import defaults
from api.codec import Value
from api.objects.decided import NodeDecision, Revision, Task
from api.objects.kinds import CURRENT_LEADER, DESCRIPTION, LEADERSHIP, NODE_DECISION, REVISION
from api.reasons.reason import Code, Reason, reason
from api.service.equality import task_fingerprint
from api.service.service_spec import TaskSpec
from api.states import GOING, NodeState, TaskState
from manager.hosts.suspicion import Suspicion, suspicion
from manager.orchestrator.nodes.constraint_enforcer import enforce_resources
from manager.orchestrator.nodes.relocation import is_gentle
from manager.orchestrator.slots import node_eligibility
from manager.orchestrator.slots.slots import ServiceSlots, SlotKey, Slots, is_done, slot_of
from manager.plan import PlanBuilder
from manager.store.state import Event, State

UNMET = reason(Code.CONSTRAINTS_NOT_MET)


class ConstrainedServices:
    """Ids of services with a stored revision that has constraints; an index of the state.

    A node is checked whenever one of its tasks changes; only these services are then checked for constraints.
    """

    def __init__(self, state: State) -> None:
        self.ids: set[str] = set()
        self._revisions: Counter[str] = Counter()
        for revision in state.table(REVISION).values():
            self._count(revision, +1)

    def __contains__(self, service_id: str) -> bool:
        return service_id in self.ids

    def follow(self, event: Event) -> None:
        """Update for a change of a revision."""
        if event.kind is REVISION:
            self._count(event.old, -1)
            self._count(event.new, +1)

    def _count(self, revision: Value | None, by: int) -> None:
        if isinstance(revision, Revision) and _constraints(revision.spec.task_template):
            self._revisions[revision.service_id] += by
            if self._revisions[revision.service_id]:
                self.ids.add(revision.service_id)
            else:
                self.ids.discard(revision.service_id)
                del self._revisions[revision.service_id]


def _constraints(template: TaskSpec) -> list[str]:
    return template.placement.constraints if template.placement else []


def check_node(builder: PlanBuilder, slots: Slots, node_id: str) -> None:
    """Decide a node's state, and stop the tasks that it cannot keep."""
    if builder.state.nodes.get(node_id) is None:
        builder.delete(NODE_DECISION, node_id)
        builder.delete(DESCRIPTION, node_id)  # normally the agent deletes its keys, but this agent is gone
        _orphan(builder, node_id, reason(Code.NODE_REMOVED))
        return
    decision = _decide_state(builder, node_id)
    if why := node_eligibility.unfit(builder, node_id):
        stop_tasks(builder, node_id, why, spare=is_gentle if not node_eligibility.is_lost(builder, node_id) else None)
    if not why or not node_eligibility.is_lost(builder, node_id):
        enforce_constraints(builder, slots, node_id)
        enforce_resources(builder, node_id)
    if decision.state is NodeState.DOWN:
        _give_up(builder, node_id, decision)


def stop_tasks(
    builder: PlanBuilder,
    node_id: str,
    why: Reason,
    spare: Callable[[State, str], bool] | None = None,
) -> None:
    """Stop a node's tasks, except those of services for which `spare` is true."""
    for task in list(builder.state.tasks_on(node_id).values()):
        if spare is None or not spare(builder.state, task.service_id):
            _stop(builder, task, why)


def _stop(builder: PlanBuilder, task: Task, why: Reason | None) -> bool:
    if task.desired not in GOING or is_done(builder.state, task):
        return False
    builder.put_task(task, desired=TaskState.SHUTDOWN, reason=why)
    return True


def enforce_constraints(builder: PlanBuilder, slots: Slots, node_id: str) -> None:
    """Stop tasks on a node that no longer meets their constraints."""
    for service_id in sorted(builder.state.index(ConstrainedServices).ids & slots.services_on(node_id)):
        _stop_unmet(builder, service_id, node_id)


def enforce_on_service(builder: PlanBuilder, slots: ServiceSlots, service_id: str) -> set[SlotKey]:
    """The same for all nodes with tasks of a service. Returns the slots of the tasks that were stopped."""
    template = _template_in_force(builder, service_id)
    if template is None:
        return set()
    stopped = _withdraw_pending(builder, slots, service_id, template)
    if _constraints(template):
        for node_id in slots.nodes:
            stopped += _stop_unmet(builder, service_id, node_id)
    return {slot_of(task) for task in stopped}


def _withdraw_pending(builder: PlanBuilder, slots: ServiceSlots, service_id: str, template: TaskSpec) -> list[Task]:
    """Stop tasks that wait for a node under an old placement; their slots get new tasks. Returns the tasks.

    A task that has its node is not affected; one that differs in more than its placement is left to the update.
    """
    revisions, wanted = builder.state.revisions_of(service_id), builder.state.service_decisions[service_id].revision
    stale = {
        number for number in slots.going
        if number in revisions
        and revisions[number].spec.task_template.placement != template.placement
        and task_fingerprint(revisions[number].spec) == task_fingerprint(revisions[wanted].spec)
    }  # fmt: skip
    waiting = builder.state.tasks_in(TaskState.PENDING).values() if stale else ()
    found = [task for task in waiting if task.service_id == service_id and task.revision in stale]
    return [task for task in found if _stop(builder, task, None)]


def may_be_outdated(state: State, slots: ServiceSlots, service_id: str) -> bool:
    """Whether a node change can make tasks of a service outdated: its constraints are newer than the tasks."""
    decision = state.service_decisions.get(service_id)
    older = decision is not None and slots.going.keys() - {decision.revision}
    return bool(older) and service_id in state.index(ConstrainedServices)


def _stop_unmet(builder: PlanBuilder, service_id: str, node_id: str) -> list[Task]:
    """Stop tasks on a node that meets neither the service's present constraints nor those of the task's revision.

    A task excluded only by new constraints is outdated, and the update replaces it in its turn
    (ServicePass.is_outdated); but a task bound to its node has no replacement to wait for. Returns the tasks stopped.
    """
    template = _template_in_force(builder, service_id)
    if template is None or node_eligibility.allowed(builder.state, template, node_id):
        return []
    stopped: list[Task] = []
    revisions = builder.state.revisions_of(service_id)
    for task in list(builder.state.tasks_on(node_id).values()):
        if task.service_id != service_id:
            continue
        own = revisions.get(task.revision)
        if own and task.slot and node_eligibility.allowed(builder.state, own.spec.task_template, node_id):
            continue
        if _stop(builder, task, UNMET):
            stopped.append(task)
    return stopped


def _template_in_force(builder: PlanBuilder, service_id: str) -> TaskSpec | None:
    decision = builder.state.service_decisions.get(service_id)
    revision = builder.state.revisions_of(service_id).get(decision.revision) if decision else None
    return revision.spec.task_template if revision else None


def _decide_state(builder: PlanBuilder, node_id: str) -> NodeDecision:
    old = builder.state.node_decisions.get(node_id) or NodeDecision()
    state = old.state
    session, lost = builder.state.sessions.get(node_id), suspicion(builder.state, node_id) is Suspicion.LOST
    if session and not session.left and not lost:
        state = NodeState.READY
    elif not session and not lost and state is NodeState.READY and (patience := _patience(builder)) > builder.now:
        # After all managers were away, all sessions are gone, and the agents are about to reconnect.
        builder.again("nodes", node_id, patience)
    elif state is not NodeState.UNKNOWN:
        state = NodeState.DOWN
    if state is old.state:
        return old
    why = reason(Code.HOST_SILENT if lost else Code.AGENT_SILENT) if state is NodeState.DOWN else None
    new = replace(old, state=state, since=builder.now, reason=why)
    builder.put(NODE_DECISION, node_id, new)
    return new


def _patience(builder: PlanBuilder) -> float:
    """Until when a node without a session may still reconnect: RECONNECT_TIME after the leader's term began."""
    leadership = builder.state.table(LEADERSHIP).get(CURRENT_LEADER)
    return leadership.since + defaults.RECONNECT_TIME if leadership else 0.0


def _give_up(builder: PlanBuilder, node_id: str, decision: NodeDecision) -> None:
    lost = decision.since + defaults.ORPHAN_TIMEOUT
    if builder.now >= lost:
        _orphan(builder, node_id, reason(Code.NODE_DOWN_TOO_LONG))
    elif builder.state.tasks_on(node_id):
        builder.again("nodes", node_id, lost)


def _orphan(builder: PlanBuilder, node_id: str, why: Reason) -> None:
    for task in list(builder.state.tasks_on(node_id).values()):
        if builder.state.task_state(task).is_terminal:
            continue
        changes: dict[str, Any] = {"state": TaskState.ORPHANED, "reason": why}
        if task.desired in GOING:
            changes["desired"] = TaskState.SHUTDOWN
        builder.put_task(task, **changes)
