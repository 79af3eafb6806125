"""Runs of scheduled jobs: which is due, which is in progress, how the last ones ended. All of it is in the decision.

`ServiceDecision.scheduled_to` is the time up to which every due run has been decided. It is written in one commit with
the run that was started, so a change of leader neither repeats nor loses a run. A run that is due
- starts, if none is in progress, or its overlap policy is "allow", or "replace" (the one in progress is stopped first);
- waits while another is in progress ("forbid"), for as long as it may be late;
- is "missed", or "skipped" if another run was in its way, when it is later than that.
A run has failed when one of its tasks has failed for good: after RUN_ATTEMPTS restarts, if the policy sets no limit.
It has also failed when it exceeds the schedule's active deadline; then its tasks are stopped.
An update of the service starts no run: later runs, and tasks of the present one that are not created yet, are of the
new revision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import Literal

from msgspec.structs import replace

from api import defaults
from api.objects.decided import JobRun, Task
from api.reasons.reason import Code, Reason, reason
from api.service.cron import next_after
from api.service.schedule import Schedule
from api.states import TaskState
from manager.orchestrator.slots import node_eligibility, restart
from manager.orchestrator.slots.service_pass import ServicePass, active, going
from manager.orchestrator.slots.slots import SlotKey, is_done

MOST_AT_ONCE = 200
"""Due times decided in one pass, so that a long absence of the leader does not delay other services."""
Outcome = Literal["completed", "failed"]


def advance(service_pass: ServicePass) -> None:
    """Close the runs that are over and start those that are due."""
    wanted, decision = service_pass.schedule, service_pass.decision
    if wanted is None:
        if decision.scheduled_to:
            ended = [
                _ended(run, service_pass.now, "replaced") if run in active(decision) else run for run in decision.runs
            ]
            service_pass.decide(scheduled_to=0.0, schedule="", runs=ended)
        return
    text = f"{wanted.cron} {wanted.time_zone}"
    if decision.schedule != text:
        since = service_pass.service.updated_at or service_pass.service.created_at or service_pass.now
        service_pass.decide(schedule=text, scheduled_to=min(since, service_pass.now))
    _close(service_pass, wanted)
    for _ in range(MOST_AT_ONCE):
        due = next_after(wanted, service_pass.decision.scheduled_to)
        if due > service_pass.now:
            if due < float("inf"):
                service_pass.again(due)
            return
        if not _decide_about(service_pass, wanted, due):
            return
    service_pass.again(service_pass.now)


def scale_runs(service_pass: ServicePass, nodes: Iterable[str]) -> None:
    """Remove the tasks of ended runs except the newest run, and create the missing tasks of runs in progress."""
    kept = {run.number for run in service_pass.decision.runs if run.outcome == "running"} | {newest_run(service_pass)}
    service_pass.remove([slot for slot in service_pass.slots.in_use if _is_of_another(service_pass, slot, kept)])
    for run in active(service_pass.decision):
        if service_pass.is_global:
            gone = [slot for slot in service_pass.slots.in_use if slot not in service_pass.state.nodes]
            service_pass.remove(gone)
            wanted: Iterable[SlotKey] = [id for id in nodes if service_pass.node_takes_tasks(id)]
            room = len(service_pass.state.nodes)
        else:
            wanted, room = slots_of(run), _room(service_pass, run)
        for slot in wanted:
            if room > 0 and slot not in service_pass.slots.in_use and service_pass.is_free(slot):
                service_pass.create(slot)
                room -= 1


def newest_run(service_pass: ServicePass) -> int:
    """Number of the last run; 0 if there was none."""
    return max((run.number for run in service_pass.decision.runs), default=0)


def slots_of(run: JobRun) -> range:
    """The slots of a run of a replicated job."""
    return range(run.base + 1, run.base + run.total + 1)


# ── ended runs ──────────────────────────────────────────────────────────────────────────────────────────────────


def _close(service_pass: ServicePass, wanted: Schedule) -> None:
    runs = list(service_pass.decision.runs)
    for index, run in enumerate(runs):
        if run.outcome != "running":
            continue
        if outcome := _outcome(service_pass, run):
            runs[index] = _ended(run, service_pass.now, outcome)
        elif _is_over_time(service_pass, wanted, run):
            _stop(service_pass, run, reason(Code.RUN_TOO_LONG, seconds=wanted.active_seconds))
            runs[index] = _ended(run, service_pass.now, "failed")
    if runs != service_pass.decision.runs:
        service_pass.decide(runs=runs)


def _outcome(service_pass: ServicePass, run: JobRun) -> Outcome | None:
    """The outcome of a run; None while it is in progress."""
    failed, slots = False, service_pass.slots.in_use if service_pass.is_global else slots_of(run)
    if service_pass.is_global and not slots:
        return None
    for slot in slots:
        tasks = [task for task in service_pass.tasks(slot) if task.desired is not TaskState.REMOVE]
        if not tasks or tasks[-1].job_iteration != run.number:
            return None
        if not is_done(service_pass.state, tasks[-1]):
            if not _is_given_up(service_pass, tasks[-1]) and not _has_lost_its_node(service_pass, slot, tasks[-1]):
                return None
            failed = True
    return "failed" if failed else "completed"


def _is_over_time(service_pass: ServicePass, wanted: Schedule, run: JobRun) -> bool:
    """Whether a run has exceeded its active deadline. If not, another pass is scheduled for the deadline."""
    until = run.started_at + wanted.active_seconds
    if until == inf or service_pass.now >= until:
        return until < inf
    service_pass.again(until)
    return False


def _stop(service_pass: ServicePass, run: JobRun, why: Reason) -> None:
    for slot in service_pass.slots.in_use if service_pass.is_global else slots_of(run):
        for task in going(service_pass.tasks(slot)):
            if task.job_iteration == run.number and not is_done(service_pass.state, task):
                service_pass.stop(slot, task, why)


def _is_given_up(service_pass: ServicePass, task: Task) -> bool:
    if not service_pass.ended(task):
        return False
    return restart.due(service_pass.policy, task, service_pass.state.task_state(task), job=True) is None


def _has_lost_its_node(service_pass: ServicePass, slot: SlotKey, task: Task) -> bool:
    """Whether a task bound to a node that takes no tasks has ended or cannot be stopped, so it gets no successor."""
    if not isinstance(slot, str) or service_pass.node_takes_tasks(slot):
        return False
    return service_pass.ended(task) or node_eligibility.is_lost(service_pass.builder, slot)


def _ended(run: JobRun, now: float, outcome: Outcome | Literal["replaced"]) -> JobRun:
    return replace(run, ended_at=now, outcome=outcome)


# ── due runs ────────────────────────────────────────────────────────────────────────────────────────────────────


def _decide_about(service_pass: ServicePass, wanted: Schedule, due: float) -> bool:
    """Start, skip or miss the run due at `due`. Returns False if it has to wait."""
    at_work, latest = active(service_pass.decision), _latest(wanted, due)
    if wanted.suspend:
        service_pass.decide(scheduled_to=due)
        return True
    if service_pass.now >= latest:
        _record(service_pass, wanted, JobRun(0, due, outcome="skipped" if at_work else "missed"))
        return True
    in_the_way = at_work and wanted.overlap in ("", "forbid")
    if in_the_way or (service_pass.is_global and not any(map(service_pass.node_takes_tasks, service_pass.state.nodes))):
        if latest < float("inf"):
            service_pass.again(latest)
        return False
    _start(service_pass, wanted, due)
    return True


def _latest(wanted: Schedule, due: float) -> float:
    """The time from which it is too late to start the run due at `due`."""
    if (late := wanted.late_seconds) is not None:
        return due + late
    return max(due + defaults.RUN_LATENESS, next_after(wanted, due))


def _start(service_pass: ServicePass, wanted: Schedule, due: float) -> None:
    now, decision = service_pass.now, service_pass.decision
    if wanted.overlap == "replace":
        runs = [_ended(run, now, "replaced") if run.outcome == "running" else run for run in decision.runs]
        service_pass.decide(runs=runs)
    total = 0 if service_pass.is_global else service_pass.spec.replicas
    base = _free_base(active(service_pass.decision), total)
    number = 1 + max(newest_run(service_pass), *(task.job_iteration for task in _tasks(service_pass)), 0)
    run = JobRun(number, due, now, revision=service_pass.decision.revision, base=base, total=total)
    _record(service_pass, wanted, run)


def _record(service_pass: ServicePass, wanted: Schedule, run: JobRun) -> None:
    runs = [*service_pass.decision.runs, run]
    surplus = len(runs) - wanted.kept_runs
    newest = max(one.number for one in runs)
    for old in [one for one in runs if one.outcome != "running" and one.number != newest][: max(0, surplus)]:
        runs.remove(old)
    service_pass.decide(runs=runs, scheduled_to=run.due_at)


def _free_base(at_work: list[JobRun], total: int) -> int:
    ends = sorted(run.base + run.total for run in at_work)
    return next(
        base for base in [0, *ends]
        if not any(run.base < base + total and base < run.base + run.total for run in at_work)
    )  # fmt: skip


# ── slots ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tasks(service_pass: ServicePass) -> Iterator[Task]:
    for tasks in service_pass.slots.tasks.values():
        yield from tasks.values()


def _is_of_another(service_pass: ServicePass, slot: SlotKey, kept: set[int]) -> bool:
    return any(
        task.desired is not TaskState.REMOVE and task.job_iteration not in kept for task in service_pass.tasks(slot)
    )


def _room(service_pass: ServicePass, run: JobRun) -> int:
    busy = sum(
        1 for slot in slots_of(run)
        if any(not service_pass.ended(task) for task in going(service_pass.tasks(slot)))
    )  # fmt: skip
    return max(0, service_pass.spec.concurrency - busy)
