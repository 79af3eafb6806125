"""How far a rolling update is: slots judged by what their tasks are and do; only those that changed are judged anew.

A slot is being worked on until its new task runs (or has ended) and the delay has passed.
"""

from __future__ import annotations

from dataclasses import dataclass

from api.objects.decided import Task
from api.states import TaskState
from manager.orchestrator.slots import restart
from manager.orchestrator.slots.service_pass import Deployment, going
from manager.orchestrator.slots.slots import SlotKey
from manager.orchestrator.slots.update_tally import BUSY, DOWN, NOTHING, UP, Verdict, Waiting


@dataclass(slots=True)
class Progress:
    """Where the slots are, in one look."""

    waiting: Waiting
    busy: int
    last: float
    again: float | None
    done: int


def survey(deployment: Deployment) -> Progress:
    """Where every slot is: those that changed are judged anew. What this look has touched already counts as busy."""
    found, touched, in_use = deployment.queue.survey, deployment.touched, deployment.slots.in_use
    delay = deployment.update_config.delay_seconds
    for slot in found.spoiled(in_use, deployment.now):
        if slot not in touched:
            found.put(slot, judge(deployment, slot, delay) if slot in in_use else NOTHING)
    for slot in touched:
        found.put(slot, NOTHING)
        found.spoil(slot)
    last = min(found.last(), deployment.now)
    return Progress(found.waiting, found.busy + len(touched), last, found.again(), found.done)


def judge(deployment: Deployment, slot: SlotKey, delay: float) -> Verdict:
    """Where a slot is; `delay` in seconds."""
    tasks = [task for task in deployment.tasks(slot) if task.desired is not TaskState.REMOVE]
    running = going(tasks)
    current = [task for task in running if not deployment.is_outdated(task)]
    if current:
        return _judge_current(deployment, current[-1], delay)
    if running:
        if (at := deployment.free_at(tasks)) > deployment.now:  # no third one, while the last replacement is under way
            return Verdict(busy=True, again=at)
        return _judge_outdated(deployment, slot, tasks[-1]) if _can_start(deployment, slot) else NOTHING
    if not tasks:
        return NOTHING
    if not all(map(deployment.ended, tasks)):  # the newest may have, when it was to take over from one that stops
        return BUSY if _can_start(deployment, slot) else NOTHING
    if not deployment.is_outdated(tasks[-1]):
        goes_on = deployment.update_config.on_failure == "continue"  # whatever fails: then this slot is done with
        return _started(deployment, tasks[-1].updated_at, delay, done=goes_on)
    return NOTHING


def _judge_current(deployment: Deployment, task: Task, delay: float) -> Verdict:
    status = deployment.status(task)
    if status.state < TaskState.RUNNING:
        return Verdict(busy=True, stuck=task)
    runs = deployment.state.task_state(task) is TaskState.RUNNING
    return _started(deployment, status.started_at or status.timestamp, delay, runs)


def _started(deployment: Deployment, since: float, delay: float, done: bool = False) -> Verdict:
    at = min(since, deployment.now) + delay
    waits = at > deployment.now
    return Verdict(busy=waits, done=done, since=since, again=at if waits else 0.0)


def _judge_outdated(deployment: Deployment, slot: SlotKey, newest: Task) -> Verdict:
    """Start-first, the new task has ended, the old one still runs: the restart policy says when to try again."""
    if deployment.is_outdated(newest) or not deployment.ended(newest):
        runs = any(deployment.state.task_state(task) is TaskState.RUNNING for task in going(deployment.tasks(slot)))
        return Verdict(rank=UP if runs else DOWN)
    at = restart.due(deployment.policy, newest, deployment.state.task_state(newest))
    if at is None:
        return Verdict(stuck=newest)
    if at > deployment.now:
        return Verdict(busy=True, again=at, stuck=newest)
    return Verdict(rank=UP, stuck=newest)


def _can_start(deployment: Deployment, slot: SlotKey) -> bool:
    return not isinstance(slot, str) or deployment.node_takes_tasks(slot)
