"""The progress of a rolling update, measured slot by slot from its tasks; only slots that changed are measured again.

A slot is in progress until its new task runs (or has ended) and the delay has passed.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from api.objects.decided import Task
from api.states import TaskState
from manager.orchestrator.slots import restart
from manager.orchestrator.slots.service_pass import ServicePass, going
from manager.orchestrator.slots.slots import SlotKey
from manager.orchestrator.slots.update_tally import DOWN, NOTHING, UP, OutdatedSlots, SlotProgress


@dataclass(slots=True)
class Progress:
    """The progress of a service's slots in one pass."""

    waiting: OutdatedSlots
    busy: int
    last: float
    again: float | None
    done: int


def measure(service_pass: ServicePass) -> Progress:
    """Measure the slots that changed. Slots handled in this pass count as busy."""
    found, handled, in_use = service_pass.queue.tally, service_pass.handled, service_pass.slots.in_use
    delay = service_pass.update_config.delay_seconds
    for slot in found.take_invalid(in_use, service_pass.now):
        if slot not in handled:
            found.put(slot, slot_progress(service_pass, slot, delay) if slot in in_use else NOTHING)
    for slot in handled:
        found.put(slot, NOTHING)
        found.invalidate(slot)
    last = min(found.last(), service_pass.now)
    return Progress(found.waiting, found.busy + len(handled), last, found.again(), found.done)


def slot_progress(service_pass: ServicePass, slot: SlotKey, delay: float) -> SlotProgress:
    """The progress of one slot; `delay` in seconds."""
    found = _slot_progress(service_pass, slot, delay)
    if (found.busy or found.rank) and not service_pass.runs(slot):
        return replace(found, rank=DOWN if found.rank else 0, down=True)
    return found


def _slot_progress(service_pass: ServicePass, slot: SlotKey, delay: float) -> SlotProgress:
    tasks = [task for task in service_pass.tasks(slot) if task.desired is not TaskState.REMOVE]
    running = going(tasks)
    current = [task for task in running if not service_pass.is_outdated(task)]
    if current:
        return _current_progress(service_pass, current[-1], delay)
    if running:
        if (at := service_pass.free_at(tasks)) > service_pass.now:  # no third task while one stops
            return SlotProgress(busy=True, again=at)
        return _outdated_progress(service_pass, tasks[-1]) if _can_start(service_pass, slot) else NOTHING
    if not tasks:
        return NOTHING
    if not all(map(service_pass.ended, tasks)):  # the newest may have ended while the old one is stopping
        return SlotProgress(busy=True) if _can_start(service_pass, slot) else NOTHING
    if not service_pass.is_outdated(tasks[-1]):
        goes_on = service_pass.update_config.on_failure == "continue"  # then a failed slot is done
        return _started(service_pass, tasks[-1].updated_at, delay, done=goes_on)
    return NOTHING


def _current_progress(service_pass: ServicePass, task: Task, delay: float) -> SlotProgress:
    status = service_pass.status(task)
    if status.state < TaskState.RUNNING:
        return SlotProgress(busy=True, stuck=task)
    runs = service_pass.state.task_state(task) is TaskState.RUNNING
    return _started(service_pass, status.started_at or status.timestamp, delay, runs)


def _started(service_pass: ServicePass, since: float, delay: float, done: bool = False) -> SlotProgress:
    at = min(since, service_pass.now) + delay
    waits = at > service_pass.now
    return SlotProgress(busy=waits, done=done, since=since, again=at if waits else 0.0)


def _outdated_progress(service_pass: ServicePass, newest: Task) -> SlotProgress:
    """An outdated slot. If its new task has ended (start-first), the restart policy decides on a retry."""
    if service_pass.is_outdated(newest) or not service_pass.ended(newest):
        return SlotProgress(rank=UP)
    at = restart.due(service_pass.policy, newest, service_pass.state.task_state(newest))
    if at is None:
        return SlotProgress(stuck=newest)
    if at > service_pass.now:
        return SlotProgress(busy=True, again=at, stuck=newest)
    return SlotProgress(rank=UP, stuck=newest)


def _can_start(service_pass: ServicePass, slot: SlotKey) -> bool:
    return not isinstance(slot, str) or service_pass.node_takes_tasks(slot)
