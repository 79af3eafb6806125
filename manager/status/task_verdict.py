"""Why one task does not run, and what to do: the managers' part of its life, its agent's part, its end. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from api.objects.decided import Task
from api.objects.observed import TaskStatus
from api.objects.wanted import Service
from api.states import GOING, Availability, NodeState, TaskState
from manager.http.services.service_answers import spec_in_force
from manager.orchestrator.slots import restart
from manager.orchestrator.slots.slots import is_done
from manager.status.placement_facts import remedy
from manager.store.lookup import hostname
from manager.store.state import State


@dataclass(frozen=True, slots=True)
class Account:
    """What is to be said of a task. Codes: docs/design/http-api.md."""

    code: str
    reason: str
    advice: str
    retry_at: float = 0.0
    """When the managers try again by themselves; 0 when they do not."""


_IMAGE = ("image", "manifest", "registry", "pull")


def account_of(state: State, service: Service, task: Task, now: float) -> Account | None:
    """What is to be said of the newest task of a slot; None when it does what it should."""
    if is_done(state, task):
        return None
    where = state.task_state(task)
    if state.has_ended(task) or where.is_terminal:
        return _ended(state, service, task, now)
    if task.node_id and state.node_state(task.node_id) is NodeState.DOWN:
        return Account(
            "node-down", f"its node {_node(state, task)} does not answer",
            "start the node, or its argosyd; the task is replaced on another node where the service allows it",
        )  # fmt: skip
    if task.desired not in GOING:
        reason = f"is being stopped: {task.message}" if task.message else "is being stopped"
        return Account("stopping", reason, "wait for its grace period; a new task follows when it has stopped")
    if where is TaskState.RUNNING:
        return _unhealthy(state.statuses.get(task.id))
    return _on_its_way(state, service, task, where)


def _on_its_way(state: State, service: Service, task: Task, where: TaskState) -> Account:
    status = state.statuses.get(task.id)
    if where is TaskState.NEW:
        reason = task.message or "waits for addresses on its networks"
        return Account(
            "address", reason, "see that its networks exist and have free addresses: `argosy network inspect`"
        )
    if where is TaskState.PENDING:
        reason = task.message or "waits to be placed on a node"
        return Account("pending", reason, remedy(state, spec_in_force(state, service), reason))
    message = (status.error or status.message) if status else ""
    if where < TaskState.PREPARING:
        return Account("preparing", f"node {_node(state, task)} has not begun with it yet", "wait a moment")
    if where is TaskState.PREPARING and any(word in message.lower() for word in _IMAGE):
        return Account(
            "image", message, "wait; if it does not end, check the image's name, or load it: `argosy image load`"
        )
    if where >= TaskState.STARTING and "health" in message:
        return Account(
            "starting", "its health check has not passed yet", "wait for it, or look at its log: `argosy service logs`"
        )
    return Account("starting" if where >= TaskState.READY else "preparing", message or where.value, "wait a moment")


def _unhealthy(status: TaskStatus | None) -> Account | None:
    if status is None or "unhealthy" not in status.message:
        return None
    return Account(
        "unhealthy", status.message, "look at its log: `argosy service logs`; it is replaced once it stopped"
    )


def _ended(state: State, service: Service, task: Task, now: float) -> Account:
    """Why it ended, and when another takes its place."""
    where, status, spec = state.task_state(task), state.statuses.get(task.id), spec_in_force(state, service)
    reason, advice = _end(state, task, where, status)
    if task.desired in GOING:
        return Account(_code(where, reason), reason, "wait a moment: the managers are about to take note of it")
    policy = spec.task_template.restart_policy
    anew = f"then start anew: `argosy service update --force {service.spec.name}`"
    if spec.job_schedule() is not None:
        policy, anew = restart.of_run(policy), "then wait for the next run"
    at = restart.due(policy, task, where, spec.is_job)
    if at is None:
        restarts = len(task.restarts)
        tried = f" after {restarts} restarts" if restarts else ""
        return Account(
            "given-up" if where is not TaskState.COMPLETE else "completed",
            f"{reason}; the restart policy wants no other task{tried}",
            f"{advice}, {anew}",
        )
    if at > now:
        why = f" ({slowed})" if (slowed := restart.slowed(policy, task)) else ""
        return Account("waiting-to-restart", f"{reason}; it is replaced in {_seconds(at - now)}{why}", advice, at)
    if task.node_id and not task.slot and not _takes_tasks(state, task.node_id):
        return Account(
            "node-down", f"its node {_node(state, task)} takes no tasks now", "make the node ready and active"
        )
    return Account(_code(where, reason), f"{reason}; it is about to be replaced", advice)


def _end(state: State, task: Task, where: TaskState, status: TaskStatus | None) -> tuple[str, str]:
    said = (status.error or status.message) if status else ""
    log = "look at its log: `argosy service logs`"
    if where is TaskState.ORPHANED:
        return f"was lost: {task.message or 'its node is gone'}", "nothing; it is replaced"
    if where is TaskState.COMPLETE:
        return "it ended by itself with exit code 0", "if it is to end, make it a job (mode replicated-job)"
    if where is TaskState.REJECTED:
        lacks_image = any(word in said.lower() for word in _IMAGE)
        advice = "correct the image's name, push it, or load it on a manager: `argosy image load`"
        return (
            said or "its node refused it",
            advice if lacks_image else "mend the service's spec, or what the node lacks",
        )
    if where is TaskState.FAILED:
        return said or "it failed", _after_failure(said, log)
    return task.message or said or "it was stopped", "nothing; it is replaced"


def _after_failure(said: str, log: str) -> str:
    if "out of memory" in said:
        return "raise its memory limit, or have it use less"
    if "unhealthy" in said:
        return f"see why its health check fails; {log}"
    return log


def _code(where: TaskState, reason: str) -> str:
    if where is TaskState.REJECTED:
        return "image" if any(word in reason.lower() for word in _IMAGE) else "rejected"
    if where is TaskState.FAILED:
        return "unhealthy" if "unhealthy" in reason else "failed"
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


def _seconds(seconds: float) -> str:
    return f"{max(1, round(seconds))} s"
