"""The task reaper: deletes ended tasks that are to be removed, history beyond the limit, and removed services."""

from __future__ import annotations

from api.objects.decided import Task
from api.objects.kinds import REVISION, SERVICE_DECISION, revision_id
from api.states import GOING, TaskState
from manager.orchestrator.slots.service_pass import ServicePass
from manager.orchestrator.slots.slot_queue import SlotQueue
from manager.orchestrator.slots.slots import ServiceSlots, by_number, history_limit, in_order, overfull
from manager.plan import PlanBuilder
from manager.store.state import State


def reap(service_pass: ServicePass) -> None:
    """Delete a service's tasks that are no longer kept. Their slots are visited again, because the commit may fail."""
    state, queue = service_pass.state, service_pass.queue
    visit, queue.to_reap = by_number(queue.to_reap & service_pass.slots.unconverged), set()
    for slot in visit:
        tasks = list(service_pass.slots.tasks.get(slot, {}).values())
        over = [task for task in tasks if task.desired is TaskState.REMOVE and state.has_ended(task)]
        if overfull(state, len(tasks) - len(over)):
            over += _surplus(state, [task for task in tasks if task not in over])
        for task in over:
            service_pass.builder.delete_task(task.id)
            queue.to_reap.add(slot)


def remove_service(builder: PlanBuilder, slots: ServiceSlots, queue: SlotQueue, service_id: str) -> None:
    """Stop and delete the tasks of a removed service, then its revisions and decision."""
    queue.begin("removed", builder.now, slots.tasks)
    visit, queue.to_reap, deleted = queue.to_reap, set(), 0
    for slot in visit:
        for task in slots.tasks.get(slot, {}).values():
            if _is_over(builder.state, task):
                builder.delete_task(task.id)
                deleted += 1
            elif task.desired is not TaskState.REMOVE:
                builder.put_task(task, desired=TaskState.REMOVE)
            else:
                continue
            queue.to_reap.add(slot)
    queue.end()
    if deleted == len(builder.state.tasks_of(service_id)):
        for number in builder.state.revisions_of(service_id):
            builder.delete(REVISION, revision_id(service_id, number))
        builder.delete(SERVICE_DECISION, service_id)


def _surplus(state: State, tasks: list[Task]) -> list[Task]:
    """Ended tasks of a slot beyond the history limit, oldest first."""
    surplus = len(tasks) - max(history_limit(state), 1)
    history = [task for task in in_order(tasks) if task.desired not in GOING and state.has_ended(task)]
    newest = in_order(tasks)[-1]  # always kept: it carries the slot's restarts
    return [task for task in history[:surplus] if task is not newest]


def _is_over(state: State, task: Task) -> bool:
    return state.task_state(task).is_terminal or task.state < TaskState.ASSIGNED
