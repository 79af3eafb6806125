"""What is forgotten: tasks to be removed that have ended, history beyond the limit, services that are gone."""

from __future__ import annotations

from api.objects import REVISION, SERVICE_DECISION, Task, revision_id
from api.states import GOING, TaskState
from manager.draft import Draft
from manager.orchestrator.deployment import Deployment
from manager.orchestrator.slots import by_number, history_limit, in_order, overfull
from manager.store.state import State


def reap(deployment: Deployment) -> None:
    """Delete a service's tasks that nobody needs to see any more."""
    state = deployment.state
    for slot in by_number(deployment.slots.unsettled):
        tasks = list(deployment.slots.tasks.get(slot, {}).values())
        removable = [task for task in tasks if task.desired is TaskState.REMOVE and state.has_ended(task)]
        for task in removable:
            deployment.draft.delete_task(task.id)
        if overfull(state, len(tasks) - len(removable)):
            _trim(deployment, [task for task in tasks if task not in removable])


def remove_service(draft: Draft, service_id: str) -> None:
    """Stop and delete what is left of a service that is no longer wanted."""
    remaining = 0
    for task in list(draft.state.tasks_of(service_id).values()):
        if _is_over(draft.state, task):
            draft.delete_task(task.id)
        else:
            remaining += 1
            if task.desired is not TaskState.REMOVE:
                draft.put_task(task, desired=TaskState.REMOVE)
    if not remaining:
        for number in draft.state.revisions_of(service_id):
            draft.delete(REVISION, revision_id(service_id, number))
        draft.delete(SERVICE_DECISION, service_id)


def _trim(deployment: Deployment, tasks: list[Task]) -> None:
    """Keep the newest so many of a slot; a task that has not ended is never forgotten."""
    surplus = len(tasks) - max(history_limit(deployment.state), 1)
    history = [task for task in in_order(tasks) if task.desired not in GOING and deployment.state.has_ended(task)]
    newest = in_order(tasks)[-1]  # carries the slot's restarts: it is kept whatever the limit
    for task in history[:surplus]:
        if task is not newest:
            deployment.draft.delete_task(task.id)


def _is_over(state: State, task: Task) -> bool:
    return state.task_state(task).is_terminal or task.state < TaskState.ASSIGNED
