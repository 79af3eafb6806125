"""The verdict on one task: why it does not run, and what to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from api.objects.decided import Task
from api.objects.observed import TaskStatus
from api.objects.wanted import Service
from api.reasons.reason import Code, Fact, Reason, reason
from api.reasons.remedies import WAIT, remedy
from api.states import GOING, Availability, NodeState, TaskState
from manager.orchestrator.slots import restart
from manager.orchestrator.slots.slots import is_done
from manager.status.placement_facts import with_facts
from manager.status.service_counts import spec_in_force
from manager.store.lookup import hostname
from manager.store.state import State

_IMAGE = (Code.GETTING_IMAGE, Code.IMAGE_UNAVAILABLE)
_UNHEALTHY = (Code.STOPPING_UNHEALTHY, Code.UNHEALTHY)


@dataclass(frozen=True, slots=True)
class TaskVerdict:
    """Why a task does not run, and what to do. Codes: docs/design/http-api.md."""

    code: str
    reason: Reason
    advice: str
    retry_at: float = 0.0
    """When the managers retry, in Unix seconds; 0 when they do not."""


def _verdict(code: str, why: Reason, retry_at: float = 0.0) -> TaskVerdict:
    return TaskVerdict(code, why, remedy(why), retry_at)


def task_verdict(state: State, service: Service, task: Task, now: float) -> TaskVerdict | None:
    """The verdict on the newest task of a slot; None when the task is as wanted."""
    if is_done(state, task):
        return None
    where = state.task_state(task)
    if state.has_ended(task) or where.is_terminal:
        return _ended(state, service, task, now)
    if task.node_id and state.node_state(task.node_id) is NodeState.DOWN:
        return _verdict("node-down", reason(Code.NODE_SILENT, node=_node(state, task)))
    if task.desired not in GOING:
        return _verdict("stopping", reason(Code.BEING_STOPPED, task.reason))
    status = state.statuses.get(task.id)
    if where is TaskState.RUNNING:
        unhealthy = status is not None and status.reason is not None and status.reason.code in _UNHEALTHY
        return _verdict("unhealthy", status.reason) if unhealthy and status and status.reason else None
    return _on_its_way(state, service, task, where, status)


def _on_its_way(state: State, service: Service, task: Task, where: TaskState, status: TaskStatus | None) -> TaskVerdict:
    if where is TaskState.NEW:
        return _verdict("address", task.reason or reason(Code.WAITING_FOR_ADDRESSES))
    if where is TaskState.PENDING:
        why = task.reason or reason(Code.WAITING_FOR_NODE)
        return _verdict("pending", with_facts(state, spec_in_force(state, service), why))
    if where < TaskState.PREPARING:
        return _verdict("preparing", reason(Code.NOT_BEGUN, node=_node(state, task)))
    why = (status.reason if status else None) or reason(Code.IN_STATE, state=where.value)
    if why.code in _IMAGE:
        return _verdict("image", why)
    return _verdict("starting" if where >= TaskState.READY else "preparing", why)


def _ended(state: State, service: Service, task: Task, now: float) -> TaskVerdict:
    """Why it ended, and when another task replaces it."""
    where, spec = state.task_state(task), spec_in_force(state, service)
    end = _end(task, where, state.statuses.get(task.id))
    if task.desired in GOING:
        return TaskVerdict(_code(where, end), end, f"{WAIT}: the managers are about to take note of it")
    policy, is_scheduled = spec.task_template.restart_policy, spec.job_schedule() is not None
    if is_scheduled:
        policy = restart.of_run(policy)
    at = restart.due(policy, task, where, spec.is_job)
    if at is None:
        facts: dict[str, Fact] = {"restarts": len(task.restarts), "service": service.spec.name}
        if is_scheduled:
            facts["scheduled"] = 1
        code = "given-up" if where is not TaskState.COMPLETE else "completed"
        return _verdict(code, Reason(Code.GIVEN_UP, facts, [end]))
    if at > now:
        seconds = max(1, round(at - now))
        later = reason(Code.REPLACED_LATER, end, restart.slowed(policy, task), seconds=seconds)
        return _verdict("waiting-to-restart", later, at)
    if task.node_id and not task.slot and not _takes_tasks(state, task.node_id):
        return _verdict("node-down", reason(Code.NODE_TAKES_NO_TASKS, node=_node(state, task)))
    return _verdict(_code(where, end), reason(Code.REPLACED_SOON, end))


def _end(task: Task, where: TaskState, status: TaskStatus | None) -> Reason:
    said = status.reason if status else None
    match where:
        case TaskState.ORPHANED:
            return reason(Code.NODE_LOST, task.reason)
        case TaskState.COMPLETE:
            return reason(Code.COMPLETED)
        case TaskState.REJECTED:
            return said or reason(Code.REFUSED_BY_NODE)
        case TaskState.FAILED:
            return said or reason(Code.FAILED)
    return task.reason or said or reason(Code.STOPPED)


def _code(where: TaskState, end: Reason) -> str:
    if where is TaskState.REJECTED:
        return "image" if end.code in _IMAGE else "rejected"
    if where is TaskState.FAILED:
        return "unhealthy" if end.code in _UNHEALTHY else "failed"
    return {TaskState.COMPLETE: "completed", TaskState.ORPHANED: "node-down"}.get(where, "stopping")


def _takes_tasks(state: State, node_id: str) -> bool:
    node = state.nodes.get(node_id)
    return (
        node is not None
        and node.spec.availability is Availability.ACTIVE
        and state.node_state(node_id) is NodeState.READY
    )


def _node(state: State, task: Task) -> str:
    return hostname(state, task.node_id) or task.node_id
