"""The rolling update: a state machine over a service's slots, kept in `ServiceDecision.update`.

    (nothing) ──outdated tasks──▸ updating ──all slots done and watched──▸ completed
                                     │ too many early ends
                                     ├─ pause ────▸ paused                 (until the user changes the service)
                                     └─ rollback ─▸ rollback_started ─────▸ rollback_completed
                                                        └─ too many ──────▸ rollback_paused

Each pass counts the slots in progress (update_progress.py) and starts as many more as the parallelism allows.
Source: swarmkit orchestrator/update.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from api.objects.decided import Task, UpdateStatus
from api.reasons.reason import Code, Reason, reason
from api.service.service_spec import UpdateConfig
from api.states import TaskState
from manager.orchestrator.slots import restart
from manager.orchestrator.slots.service_pass import ServicePass, going, stop_blocking
from manager.orchestrator.slots.slots import SlotKey, by_number
from manager.orchestrator.updates.update_progress import Progress, measure

UPDATING, PAUSED, COMPLETED = "updating", "paused", "completed"
ROLLBACK_STARTED, ROLLBACK_PAUSED, ROLLBACK_COMPLETED = "rollback_started", "rollback_paused", "rollback_completed"
IN_PROGRESS = (UPDATING, ROLLBACK_STARTED)
STOPPED = (PAUSED, ROLLBACK_PAUSED)


def update(service_pass: ServicePass) -> None:
    """Advance the update of a service, if there is one."""
    if service_pass.is_job:
        return
    status = _begin(service_pass)
    if status is None or status.state not in IN_PROGRESS:
        service_pass.queue.forget_tally()
        return
    if service_pass.early_ends:
        status = replace(status, failures=status.failures + len(service_pass.early_ends))
        service_pass.set_update(status)
        if _too_many(service_pass.update_config, status) and _give_up(service_pass, status):
            return
    progress = measure(service_pass)
    status = _note_progress(service_pass, status, progress)
    if not _is_stuck(service_pass, status, progress):
        _stop_blocking(service_pass)
        _start_more(service_pass, progress)
        _finish(service_pass, status, progress)


def _begin(service_pass: ServicePass) -> UpdateStatus | None:
    status = service_pass.decision.update
    if status is not None and (status.state in STOPPED or status.total):
        return _resume(service_pass, status)
    outdated = len(service_pass.outdated_slots())
    if status is None and outdated:
        status = UpdateStatus(UPDATING, service_pass.now)
    if status is not None and status.state in IN_PROGRESS:
        status = replace(status, revision=service_pass.decision.revision, total=max(outdated, 1))
        service_pass.set_update(status)
    return status


def _resume(service_pass: ServicePass, status: UpdateStatus) -> UpdateStatus:
    """Resume a finished update if slots are outdated again: a global service's node has become active."""
    if status.state in (COMPLETED, ROLLBACK_COMPLETED) and service_pass.outdated_slots():
        state = UPDATING if status.state == COMPLETED else ROLLBACK_STARTED
        status = replace(status, state=state, completed_at=0.0)
        service_pass.set_update(status)
    return status


def _start_more(service_pass: ServicePass, progress: Progress) -> None:
    how = service_pass.update_config
    most = how.slots_at_once
    room = most - progress.busy if most else len(progress.waiting)
    for slot in progress.waiting.first(room):
        if how.starts_first:
            tasks = service_pass.tasks(slot)
            service_pass.create(slot, _restarts_after(service_pass, tasks[-1]))
        else:
            for task in going(service_pass.tasks(slot)):
                service_pass.stop(slot, task)
        progress.busy += 1


def _stop_blocking(service_pass: ServicePass) -> None:
    """For start-first updates: stop old tasks that block their new ones."""
    if service_pass.update_config.starts_first:
        down = service_pass.queue.tally.down + len(service_pass.handled)
        stop_blocking(service_pass, list(_taking_over(service_pass)), down)


def _taking_over(service_pass: ServicePass) -> Iterator[tuple[SlotKey, Task, Task]]:
    """Slots in which the new task does not run yet, each with the old and the new task."""
    for slot in by_number(service_pass.queue.tally.stuck - service_pass.handled):
        running = going(service_pass.tasks(slot))
        if len(running) == 2 and not service_pass.is_outdated(running[1]):
            yield slot, running[0], running[1]


def _restarts_after(service_pass: ServicePass, newest: Task) -> list[float]:
    if service_pass.is_outdated(newest):
        return []
    return restart.remember(service_pass.policy, newest, service_pass.now)


def _finish(service_pass: ServicePass, status: UpdateStatus, progress: Progress) -> None:
    if progress.again is not None:
        service_pass.again(progress.again)
    if progress.waiting or progress.busy or service_pass.outdated_slots():
        return
    how = service_pass.update_config
    delay, monitor = how.delay_seconds, how.monitor_seconds
    watched = progress.last + (monitor if monitor > delay else delay + 1)
    if progress.last >= status.started_at and watched > service_pass.now:
        service_pass.again(watched)
        return
    rolling_back = status.state == ROLLBACK_STARTED
    service_pass.set_update(
        replace(
            status,
            state=ROLLBACK_COMPLETED if rolling_back else COMPLETED,
            completed_at=service_pass.now,
        )
    )


def _note_progress(service_pass: ServicePass, status: UpdateStatus, progress: Progress) -> UpdateStatus:
    """Record that more slots are done than ever before. A slot that becomes done repeatedly counts once."""
    if progress.done > status.done or not status.progressed_at:
        status = replace(status, done=max(progress.done, status.done), progressed_at=service_pass.now)
        service_pass.set_update(status)
    return status


def _is_stuck(service_pass: ServicePass, status: UpdateStatus, progress: Progress) -> bool:
    """Pause or roll back an update without progress for too long. Returns whether it did."""
    if not (progress.waiting or progress.busy or service_pass.outdated_slots()):
        return False
    how = service_pass.update_config
    seconds = how.deadline_seconds
    deadline = status.progressed_at + how.delay_seconds + seconds
    if service_pass.now < deadline:
        service_pass.again(deadline)
        return False
    _fail(service_pass, status, _no_progress(service_pass, seconds, service_pass.queue.tally.first_stuck()))
    return True


def _no_progress(service_pass: ServicePass, seconds: float, task: Task | None) -> Reason:
    if task is None:
        return reason(Code.NO_PROGRESS, seconds=seconds)
    state = service_pass.state.task_state(task).value
    return reason(
        Code.NO_PROGRESS, service_pass.status(task).reason or task.reason, seconds=seconds, task=task.id, state=state
    )


def _fail(service_pass: ServicePass, status: UpdateStatus, why: Reason) -> None:
    """Roll back if configured and possible, otherwise pause."""
    if status.state == ROLLBACK_STARTED:
        service_pass.set_update(replace(status, state=ROLLBACK_PAUSED, reason=why))
    elif _can_roll_back(service_pass):
        back = service_pass.decision.previous
        status = UpdateStatus(ROLLBACK_STARTED, service_pass.now, revision=back, reason=why)
        service_pass.decide(revision=back, previous=0, update=status)
    else:
        service_pass.set_update(replace(status, state=PAUSED, reason=why))


def _can_roll_back(service_pass: ServicePass) -> bool:
    return (
        service_pass.update_config.on_failure == "rollback"
        and service_pass.spec_of(service_pass.decision.previous) is not None
    )


def _too_many(how: UpdateConfig, status: UpdateStatus) -> bool:
    return status.failures / max(status.total, 1) > how.max_failure_ratio


def _give_up(service_pass: ServicePass, status: UpdateStatus) -> bool:
    """Apply the failure action. Returns whether the update is over."""
    if service_pass.update_config.on_failure == "continue":
        return False
    task = service_pass.early_ends[-1]
    said = service_pass.state.statuses.get(task)
    why = said.reason if said else None
    if said and said.state is TaskState.COMPLETE:
        why = reason(Code.COMPLETED)
    _fail(service_pass, status, reason(Code.TASK_ENDED_EARLY, why, task=task))
    return True
