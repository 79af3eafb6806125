"""One unsettled slot: note what ended, replace what is to be replaced, stop what is too many.

Rules, for the tasks of a slot from oldest to newest:
1. a task that is to run and has ended is history from now on (a completed job task stays as it is);
2. with more than one task to run, the newest that is not outdated stays; the others are stopped once it runs;
3. with none to run, the slot gets a new task when the newest one says so (see `replacement_due`).
"""

from __future__ import annotations

from api.objects.decided import Task
from api.states import TaskState
from manager.orchestrator.slots import restart
from manager.orchestrator.slots.service_pass import Deployment, active, going
from manager.orchestrator.slots.slots import SlotKey, by_number, is_done
from manager.orchestrator.tasks.scaling import spare


def settle(deployment: Deployment) -> None:
    """Look at every unsettled slot of a service, but for those that nothing has happened to since the last look."""
    queue = deployment.queue
    room = spare(deployment) if deployment.spec.is_replicated_job else None
    for slot in by_number(queue.to_settle & deployment.slots.unsettled & deployment.slots.in_use):
        if slot in deployment.touched:
            continue
        if settle_slot(deployment, slot, room is None or room > 0) and room is not None:
            room -= 1
    queue.to_settle &= deployment.touched
    if (at := queue.timers.next_time()) is not None:
        deployment.again(at)


def settle_slot(deployment: Deployment, slot: SlotKey, may_create: bool = True) -> bool:
    """Look at one slot; whether it got a new task."""
    tasks = [task for task in _note_ends(deployment, slot) if task.desired is not TaskState.REMOVE]
    running = going(tasks)
    if len(running) > 1:
        _stop_surplus(deployment, slot, running)
    elif not running and may_create:
        return _replace(deployment, slot, tasks)
    return False


def replacement_due(deployment: Deployment, newest: Task) -> float | None:
    """When a slot whose newest task is not to run any more gets another; None: not by itself.

    A task that was told to stop is waited for, unless its node cannot be reached; an outdated one is replaced at once
    when it has ended; for any other end the restart policy speaks.
    """
    if not deployment.ended(newest):
        return deployment.waits_until(newest)
    if deployment.is_outdated(newest):
        return deployment.now
    return restart.due(deployment.policy, newest, deployment.state.task_state(newest), deployment.is_job)


def _note_ends(deployment: Deployment, slot: SlotKey) -> list[Task]:
    tasks = deployment.tasks(slot)
    for index, task in enumerate(tasks):
        if task.desired in (TaskState.SHUTDOWN, TaskState.REMOVE) or not deployment.ended(task):
            continue
        if is_done(deployment.state, task):
            continue
        if ended_early(deployment, task):
            deployment.early_ends.append(task.id)
        tasks[index] = deployment.stop(slot, task)
    return tasks


def ended_early(deployment: Deployment, task: Task) -> bool:
    """Whether the end of a task counts against the update in progress: before it ran, or within the monitor time."""
    update, status = deployment.decision.update, deployment.status(task)
    if update is None or task.created_at < update.started_at or deployment.is_outdated(task):
        return False
    ended = deployment.state.task_state(task)
    if ended is TaskState.ORPHANED or (ended is TaskState.COMPLETE and restart.is_one_shot(deployment.policy)):
        return False
    monitor = deployment.monitor
    return not status.started_at or status.timestamp - status.started_at <= monitor


def _stop_surplus(deployment: Deployment, slot: SlotKey, running: list[Task]) -> None:
    current = [task for task in running if not deployment.is_outdated(task)]
    if current and _is_moving(deployment, running):
        return
    # Two of the same revision should not be, but for a move to another node; the one that is further on is kept.
    keep = max(reversed(current or running), key=lambda task: deployment.state.task_state(task).rank)
    if current and running[-1].replaces:
        keep = running[-1]
    for task in running:
        superfluous = deployment.is_outdated(task) is deployment.is_outdated(keep)
        if task is not keep and (superfluous or deployment.state.task_state(keep) is TaskState.RUNNING):
            deployment.stop(slot, task)


def _is_moving(deployment: Deployment, running: list[Task]) -> bool:
    """Whether the newest is to take over from another, and does not run yet."""
    newest, others = running[-1], {task.id for task in running[:-1]}
    return newest.replaces in others and deployment.state.task_state(newest) is not TaskState.RUNNING


def _replace(deployment: Deployment, slot: SlotKey, tasks: list[Task]) -> bool:
    if isinstance(slot, str) and not deployment.node_takes_tasks(slot):
        return False
    newest = tasks[-1]
    if deployment.schedule is not None and all(r.number != newest.job_iteration for r in active(deployment.decision)):
        return False
    at = replacement_due(deployment, newest)
    if at is None:
        return False
    at = max(at, deployment.free_at(tasks))
    if at > deployment.now:
        deployment.queue.timers.put(slot, at)
        return False
    deployment.create(slot, _restarts(deployment, newest))
    return True


def _restarts(deployment: Deployment, newest: Task) -> list[float]:
    if deployment.is_outdated(newest):
        return []
    own_doing = deployment.state.task_state(newest) in (TaskState.COMPLETE, TaskState.FAILED, TaskState.REJECTED)
    return restart.remember(deployment.policy, newest, deployment.now) if own_doing else newest.restarts
