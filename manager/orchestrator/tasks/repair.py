"""Repair of one slot that is not converged: record ended tasks, replace them, stop surplus tasks.

Rules, for the tasks of a slot from oldest to newest:
1. a task that is to run and has ended becomes history (a completed job task stays as it is);
2. with more than one task to run, the newest that is not outdated stays; the others are stopped once it runs;
3. with none to run, the slot gets a new task when it is due (see `replacement_due`).
"""

from __future__ import annotations

from api.objects.decided import Task
from api.states import TaskState
from manager.orchestrator.slots import restart
from manager.orchestrator.slots.service_pass import ServicePass, active, going
from manager.orchestrator.slots.slots import SlotKey, by_number, is_done
from manager.orchestrator.tasks.scaling import spare


def repair(service_pass: ServicePass) -> None:
    """Repair the slots of a service that are not converged and have changed since the last pass."""
    queue = service_pass.queue
    room = spare(service_pass) if service_pass.spec.is_replicated_job else None
    for slot in by_number(queue.to_repair & service_pass.slots.unconverged & service_pass.slots.in_use):
        if slot in service_pass.handled:
            continue
        if repair_slot(service_pass, slot, room is None or room > 0) and room is not None:
            room -= 1
    queue.to_repair &= service_pass.handled
    if (at := queue.timers.next_time()) is not None:
        service_pass.again(at)


def repair_slot(service_pass: ServicePass, slot: SlotKey, may_create: bool = True) -> bool:
    """Repair one slot. Returns whether it got a new task."""
    tasks = [task for task in _note_ends(service_pass, slot) if task.desired is not TaskState.REMOVE]
    running = going(tasks)
    if len(running) > 1:
        _stop_surplus(service_pass, slot, running)
    elif not running and may_create:
        return _replace(service_pass, slot, tasks)
    return False


def replacement_due(service_pass: ServicePass, newest: Task) -> float | None:
    """When a slot whose newest task is not to run any more gets another (Unix seconds); None: never by itself.

    A stopping task is waited for, unless its node cannot be reached. An outdated task is replaced as soon as it has
    ended. In all other cases the restart policy decides.
    """
    if not service_pass.ended(newest):
        return service_pass.waits_until(newest)
    if service_pass.is_outdated(newest):
        return service_pass.now
    return restart.due(service_pass.policy, newest, service_pass.state.task_state(newest), service_pass.is_job)


def _note_ends(service_pass: ServicePass, slot: SlotKey) -> list[Task]:
    tasks = service_pass.tasks(slot)
    for index, task in enumerate(tasks):
        if task.desired in (TaskState.SHUTDOWN, TaskState.REMOVE) or not service_pass.ended(task):
            continue
        if is_done(service_pass.state, task):
            continue
        if ended_early(service_pass, task):
            service_pass.early_ends.append(task.id)
        tasks[index] = service_pass.stop(slot, task)
    return tasks


def ended_early(service_pass: ServicePass, task: Task) -> bool:
    """Whether the end of a task counts as a failure of the update: before it ran, or within the monitor time."""
    update, status = service_pass.decision.update, service_pass.status(task)
    if update is None or task.created_at < update.started_at or service_pass.is_outdated(task):
        return False
    ended = service_pass.state.task_state(task)
    if ended is TaskState.ORPHANED or (ended is TaskState.COMPLETE and restart.is_one_shot(service_pass.policy)):
        return False
    monitor = service_pass.monitor
    return not status.started_at or status.timestamp - status.started_at <= monitor


def _stop_surplus(service_pass: ServicePass, slot: SlotKey, running: list[Task]) -> None:
    current = [task for task in running if not service_pass.is_outdated(task)]
    if current and _is_moving(service_pass, running):
        return
    # Two tasks of one revision occur only in a relocation; the one further in its life is kept.
    keep = max(reversed(current or running), key=lambda task: service_pass.state.task_state(task).rank)
    if current and running[-1].replaces:
        keep = running[-1]
    for task in running:
        superfluous = service_pass.is_outdated(task) is service_pass.is_outdated(keep)
        if task is not keep and (superfluous or service_pass.state.task_state(keep) is TaskState.RUNNING):
            service_pass.stop(slot, task)


def _is_moving(service_pass: ServicePass, running: list[Task]) -> bool:
    """Whether the newest task is to take over from another one and does not run yet."""
    newest, others = running[-1], {task.id for task in running[:-1]}
    return newest.replaces in others and service_pass.state.task_state(newest) is not TaskState.RUNNING


def _replace(service_pass: ServicePass, slot: SlotKey, tasks: list[Task]) -> bool:
    if isinstance(slot, str) and not service_pass.node_takes_tasks(slot):
        return False
    newest = tasks[-1]
    if service_pass.schedule is not None and all(
        r.number != newest.job_iteration for r in active(service_pass.decision)
    ):
        return False
    at = replacement_due(service_pass, newest)
    if at is None:
        return False
    at = max(at, service_pass.free_at(tasks))
    if at > service_pass.now:
        service_pass.queue.timers.put(slot, at)
        return False
    service_pass.create(slot, _restarts(service_pass, newest))
    return True


def _restarts(service_pass: ServicePass, newest: Task) -> list[float]:
    if service_pass.is_outdated(newest):
        return []
    own_doing = service_pass.state.task_state(newest) in (TaskState.COMPLETE, TaskState.FAILED, TaskState.REJECTED)
    return restart.remember(service_pass.policy, newest, service_pass.now) if own_doing else newest.restarts
