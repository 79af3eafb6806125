"""The rolling update: a state machine over a service's slots, kept in `ServiceDecision.update`.

    (nothing) ──outdated tasks──▸ updating ──all slots done and watched──▸ completed
                                     │ too many early ends
                                     ├─ pause ────▸ paused                 (until the user wants something new)
                                     └─ rollback ─▸ rollback_started ─────▸ rollback_completed
                                                        └─ too many ──────▸ rollback_paused

Each look counts how many slots are being worked on and starts as many more as the parallelism leaves.
Source: swarmkit orchestrator/update.
"""

from __future__ import annotations

from msgspec.structs import replace

from api.objects.decided import Task, UpdateStatus
from api.reasons.reason import Code, Reason, reason
from api.service.service_spec import UpdateConfig
from api.states import TaskState
from manager.orchestrator.slots import restart
from manager.orchestrator.slots.service_pass import Deployment, going, yield_to
from manager.orchestrator.slots.slots import by_number
from manager.orchestrator.updates.update_progress import Progress, survey

UPDATING, PAUSED, COMPLETED = "updating", "paused", "completed"
ROLLBACK_STARTED, ROLLBACK_PAUSED, ROLLBACK_COMPLETED = "rollback_started", "rollback_paused", "rollback_completed"
IN_PROGRESS = (UPDATING, ROLLBACK_STARTED)
STOPPED = (PAUSED, ROLLBACK_PAUSED)


def update(deployment: Deployment) -> None:
    """Take the update of a service a step further, if there is one."""
    if deployment.is_job:
        return
    status = _begin(deployment)
    if status is None or status.state not in IN_PROGRESS:
        deployment.queue.forget_survey()
        return
    if deployment.early_ends:
        status = replace(status, failures=status.failures + len(deployment.early_ends))
        deployment.set_update(status)
        if _too_many(deployment.update_config, status) and _give_up(deployment, status):
            return
    progress = survey(deployment)
    status = _note_progress(deployment, status, progress)
    if not _is_stuck(deployment, status, progress):
        _make_way(deployment)
        _start_more(deployment, progress)
        _finish(deployment, status, progress)


def _begin(deployment: Deployment) -> UpdateStatus | None:
    status = deployment.decision.update
    if status is not None and (status.state in STOPPED or status.total):
        return _resume(deployment, status)
    outdated = len(deployment.outdated_slots())
    if status is None and outdated:
        status = UpdateStatus(UPDATING, deployment.now)
    if status is not None and status.state in IN_PROGRESS:
        status = replace(status, revision=deployment.decision.revision, total=max(outdated, 1))
        deployment.set_update(status)
    return status


def _resume(deployment: Deployment, status: UpdateStatus) -> UpdateStatus:
    """A finished update is taken up again when there is more to do: a global service's node is active again."""
    if status.state in (COMPLETED, ROLLBACK_COMPLETED) and deployment.outdated_slots():
        state = UPDATING if status.state == COMPLETED else ROLLBACK_STARTED
        status = replace(status, state=state, completed_at=0.0)
        deployment.set_update(status)
    return status


def _start_more(deployment: Deployment, progress: Progress) -> None:
    how = deployment.update_config
    most = how.slots_at_once
    room = most - progress.busy if most else len(progress.waiting)
    for slot in progress.waiting.first(room):
        if how.starts_first:
            tasks = deployment.tasks(slot)
            deployment.create(slot, _restarts_after(deployment, tasks[-1]))
        else:
            for task in going(deployment.tasks(slot)):
                deployment.stop(slot, task)
        progress.busy += 1


def _make_way(deployment: Deployment) -> None:
    """Start-first, where the old task is in the way of the new one: stop it first, after all."""
    if not deployment.update_config.starts_first:
        return
    for slot in by_number(deployment.queue.survey.stuck - deployment.touched):
        running = going(deployment.tasks(slot))
        if len(running) == 2 and not deployment.is_outdated(running[1]):
            yield_to(deployment, slot, *running)


def _restarts_after(deployment: Deployment, newest: Task) -> list[float]:
    if deployment.is_outdated(newest):
        return []
    return restart.remember(deployment.policy, newest, deployment.now)


def _finish(deployment: Deployment, status: UpdateStatus, progress: Progress) -> None:
    if progress.again is not None:
        deployment.again(progress.again)
    if progress.waiting or progress.busy or deployment.outdated_slots():
        return
    how = deployment.update_config
    delay, monitor = how.delay_seconds, how.monitor_seconds
    watched = progress.last + (monitor if monitor > delay else delay + 1)
    if progress.last >= status.started_at and watched > deployment.now:
        deployment.again(watched)
        return
    rolling_back = status.state == ROLLBACK_STARTED
    deployment.set_update(
        replace(
            status,
            state=ROLLBACK_COMPLETED if rolling_back else COMPLETED,
            completed_at=deployment.now,
        )
    )


def _note_progress(deployment: Deployment, status: UpdateStatus, progress: Progress) -> UpdateStatus:
    """Remember it when more slots are done than ever before: one that comes and goes makes no progress."""
    if progress.done > status.done or not status.progressed_at:
        status = replace(status, done=max(progress.done, status.done), progressed_at=deployment.now)
        deployment.set_update(status)
    return status


def _is_stuck(deployment: Deployment, status: UpdateStatus, progress: Progress) -> bool:
    """Pause or roll back an update that has made no progress for too long; whether it came to that."""
    if not (progress.waiting or progress.busy or deployment.outdated_slots()):
        return False
    how = deployment.update_config
    seconds = how.deadline_seconds
    deadline = status.progressed_at + how.delay_seconds + seconds
    if deployment.now < deadline:
        deployment.again(deadline)
        return False
    _fail(deployment, status, _no_progress(deployment, seconds, deployment.queue.survey.first_stuck()))
    return True


def _no_progress(deployment: Deployment, seconds: float, task: Task | None) -> Reason:
    if task is None:
        return reason(Code.NO_PROGRESS, seconds=seconds)
    state = deployment.state.task_state(task).value
    return reason(
        Code.NO_PROGRESS, deployment.status(task).reason or task.reason, seconds=seconds, task=task.id, state=state
    )


def _fail(deployment: Deployment, status: UpdateStatus, why: Reason) -> None:
    """Roll back, or pause if that is not to be."""
    if status.state == ROLLBACK_STARTED:
        deployment.set_update(replace(status, state=ROLLBACK_PAUSED, reason=why))
    elif _can_roll_back(deployment):
        back = deployment.decision.previous
        status = UpdateStatus(ROLLBACK_STARTED, deployment.now, revision=back, reason=why)
        deployment.decide(revision=back, previous=0, update=status)
    else:
        deployment.set_update(replace(status, state=PAUSED, reason=why))


def _can_roll_back(deployment: Deployment) -> bool:
    return (
        deployment.update_config.on_failure == "rollback"
        and deployment.spec_of(deployment.decision.previous) is not None
    )


def _too_many(how: UpdateConfig, status: UpdateStatus) -> bool:
    return status.failures / max(status.total, 1) > how.max_failure_ratio


def _give_up(deployment: Deployment, status: UpdateStatus) -> bool:
    """Do as the failure action says; whether the update is over."""
    if deployment.update_config.on_failure == "continue":
        return False
    task = deployment.early_ends[-1]
    said = deployment.state.statuses.get(task)
    why = said.reason if said else None
    if said and said.state is TaskState.COMPLETE:
        why = reason(Code.COMPLETED)
    _fail(deployment, status, reason(Code.TASK_ENDED_EARLY, why, task=task))
    return True
