"""The verdict on a service: judged here only, for every client that shows it or waits for it. Pure: State → Verdict.

    converging  changing towards what is wanted, with no sign that it will fail
    converged   as wanted: every slot's newest task runs, and has done so for a moment (for longer after a failure)
    failed      it will not converge by itself: a slot fails repeatedly, or the update was paused or rolled back
    stuck       waiting for what somebody has to provide: no node, address or port for `patience` seconds
    degraded    it was converged; now fewer tasks run than are wanted, no manager leads, or a job's last run failed

All managers give the same verdict, also one that has just started: nothing is remembered between two calls.
`again_at` says when time alone may change the verdict.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace as with_fields
from math import inf

from api.defaults import VERDICT_PATIENCE
from api.engine.argosy import ServiceVerdictAnswer, VerdictState
from api.engine.common import VersionAnswer, timestamp
from api.labels import NAMESPACE
from api.objects.decided import ServiceDecision, Task
from api.objects.kinds import CURRENT_LEADER, LEADERSHIP, SERVICE
from api.objects.wanted import Service
from api.reasons.reason import Code, Reason, reason
from api.reasons.reason_text import texts
from api.states import GOING, TaskState
from manager.orchestrator.slots import restart
from manager.orchestrator.slots.slots import SlotKey, Slots, by_number, in_order
from manager.status.service_counts import is_up_to_date, spec_in_force
from manager.store.lookup import hostname
from manager.store.state import State

STABLE = 1.0
"""Seconds that all tasks must run before a service has converged, when nothing has failed so far."""
SUSPICIOUS = 5.0
"""The same in seconds when something has failed; a task that ran for so long was well."""
STEADY = 60.0
"""Seconds: when a task that ran for longer ends, its end is not part of a series of failures."""
MOST_FAILURES = 3
MOST_REJECTIONS = 2
_BAD_ENDS = (TaskState.FAILED, TaskState.REJECTED)
_UNDER_WAY = ("updating", "rollback_started")
_RUNS = {"failed": Code.RUN_FAILED, "missed": Code.RUN_MISSED, "skipped": Code.RUN_SKIPPED}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of a service, and why."""

    state: VerdictState
    since: float
    """Since when it is in this state, in Unix seconds; 0 when unknown."""
    reasons: tuple[Reason, ...] = ()
    ready: int = 0
    """Slots whose task runs (for jobs: has completed)."""
    wanted: int = 0
    again_at: float = inf
    """When to judge again although nothing has changed, in Unix seconds."""


def service_verdict(state: State, service: Service, now: float, patience: float = VERDICT_PATIENCE) -> Verdict:
    """Judge a service; `patience` in seconds."""
    found = _Assessment(state, service, now, patience).verdict()
    if CURRENT_LEADER in state.table(LEADERSHIP) or found.state in (VerdictState.FAILED, VerdictState.STUCK):
        return found
    changed = VerdictState.DEGRADED if found.state is VerdictState.CONVERGED else found.state
    return with_fields(found, state=changed, reasons=(reason(Code.NO_LEADER), *found.reasons))


def verdict_answer(state: State, service: Service, verdict: Verdict) -> ServiceVerdictAnswer:
    """The API's answer for a verdict."""
    return ServiceVerdictAnswer(
        service.id,
        service.spec.name,
        verdict.state,
        since_text(verdict),
        verdict.ready,
        verdict.wanted,
        texts(list(verdict.reasons)),
        list(verdict.reasons),
        service.spec.labels.get(NAMESPACE, ""),
        VersionAnswer(state.version(SERVICE, service.id)),
    )


def since_text(verdict: Verdict) -> str:
    """`since` as the API writes it; "" when unknown."""
    return timestamp(verdict.since) if verdict.since else ""


def run_reason(service: Service, decision: ServiceDecision | None) -> Reason | None:
    """Why a scheduled job is degraded: its last run failed or was not started. None when neither."""
    last = decision.runs[-1] if decision and decision.runs else None
    code = _RUNS.get(last.outcome) if last else None
    if last is None or code is None:
        return None
    return reason(code, run=last.number, due=f"{timestamp(last.due_at)[:19]}Z", service=service.spec.name)


def update_reason(service: Service, decision: ServiceDecision) -> Reason | None:
    """Why the update of a service was paused or rolled back; None when it was not."""
    update = decision.update
    if update is None or decision.wanted != service.revision:
        return None
    if update.state == "rollback_completed":
        return None if service.rollback else reason(Code.UPDATE_FAILED, update.reason)
    codes = {"paused": Code.UPDATE_PAUSED, "rollback_paused": Code.ROLLBACK_PAUSED}
    if code := codes.get(update.state):
        return reason(code, update.reason, service=service.spec.name)
    return None


class _Assessment:
    """Judges one service at one time."""

    def __init__(self, state: State, service: Service, now: float, patience: float) -> None:
        self.state, self.service, self.now, self.patience = state, service, now, patience
        self.decision = state.service_decisions.get(service.id)
        self.spec = spec_in_force(state, service)
        self.again_at = inf
        self.slots = self._slots()
        self.wanted = self._wanted()
        self.ready = min(self.wanted, sum(map(self._is_fulfilled, self.slots.values())))

    def verdict(self) -> Verdict:
        """See service_verdict."""
        found = self._not_taken_up() or self._update_failed() or self._of_schedule()
        if found is None and self.ready >= self.wanted and not self._is_updating():
            found = self._up()
        return found or self._slot_failed() or self._stuck() or self._degraded() or self._converging()

    # ── observations ─────────────────────────────────────────────────────────────────────────────────────────────

    def _slots(self) -> dict[SlotKey, list[Task]]:
        """By slot in use: the tasks that match the spec in force, oldest first."""
        present: dict[int, bool] = {}
        found: dict[SlotKey, list[Task]] = {}
        slots = self.state.index(Slots).of(self.service.id)
        for slot in by_number(slots.in_use):
            tasks = []
            for task in in_order(slots.tasks[slot].values()):
                if task.revision not in present:
                    present[task.revision] = is_up_to_date(self.state, task)
                if present[task.revision] and task.desired is not TaskState.REMOVE:
                    tasks.append(task)
            if tasks:
                found[slot] = tasks
        return found

    def _wanted(self) -> int:
        if self.spec.job_schedule() is not None:  # it runs when a run is due
            return 0
        if self.spec.is_global:
            return sum(any(map(self._is_wanted, history)) for history in self.slots.values())
        return self.spec.replicas

    def _is_wanted(self, task: Task) -> bool:
        return task.desired in GOING or self.state.task_state(task) is TaskState.COMPLETE

    def _is_fulfilled(self, history: list[Task]) -> bool:
        at = self.state.task_state
        if self.spec.is_job:
            return any(at(task) is TaskState.COMPLETE for task in history)
        if any(at(task) is TaskState.RUNNING and task.desired in GOING for task in history):
            return True
        return at(history[-1]) is TaskState.COMPLETE and restart.is_one_shot(self.spec.task_template.restart_policy)

    def _is_updating(self) -> bool:
        update = self.decision.update if self.decision else None
        return update is not None and update.state in _UNDER_WAY

    def _why(self, task: Task) -> Reason | None:
        status = self.state.statuses.get(task.id)
        return (status.reason if status else None) or task.reason

    def _life(self, task: Task) -> float:
        """Seconds that a task has run."""
        status = self.state.statuses.get(task.id)
        if status is None or not status.started_at:
            return 0.0
        return max(0.0, self._end(task) - status.started_at)

    def _end(self, task: Task) -> float:
        """When a task ended or was given up; `now` for one that runs."""
        status = self.state.statuses.get(task.id)
        if self.state.has_ended(task) and status is not None and status.state.is_terminal:
            return status.timestamp
        return self.now if task.desired in GOING else task.updated_at

    def _failures(self, history: list[Task]) -> list[Task]:
        """The latest series of failed tasks. Where the restart policy restarts after every end, tasks that completed
        count too."""
        goes_on = not self.spec.is_job and not restart.is_one_shot(self.spec.task_template.restart_policy)
        ends = (*_BAD_ENDS, TaskState.COMPLETE) if goes_on else _BAD_ENDS
        found: list[Task] = []
        for task in reversed(history):
            if self._life(task) >= STEADY:
                break
            if self.state.task_state(task) in ends:
                found.append(task)
        return found[::-1]

    # ── the verdicts ─────────────────────────────────────────────────────────────────────────────────────────────

    def _is(self, state: VerdictState, since: float, *reasons: Reason | None) -> Verdict:
        told = tuple(one for one in reasons if one is not None)
        return Verdict(state, since, told, self.ready, self.wanted, self.again_at)

    def _changed_at(self) -> float:
        return self.service.updated_at or self.service.created_at

    def _not_taken_up(self) -> Verdict | None:
        decision = self.decision
        if decision is not None and decision.wanted == self.service.revision:
            return None
        waits = decision.waiting if decision else None
        return self._is(VerdictState.CONVERGING, self._changed_at(), waits or reason(Code.NOT_TAKEN_UP))

    def _update_failed(self) -> Verdict | None:
        why = update_reason(self.service, self.decision) if self.decision else None
        if why is None or self.decision is None or self.decision.update is None:
            return None
        update = self.decision.update
        return self._is(VerdictState.FAILED, update.completed_at or update.progressed_at or update.started_at, why)

    def _of_schedule(self) -> Verdict | None:
        schedule, decision = self.spec.job_schedule(), self.decision
        if schedule is None:
            return None
        if why := run_reason(self.service, decision):
            last = decision.runs[-1] if decision else None
            return self._is(VerdictState.DEGRADED, (last.ended_at or last.due_at) if last else 0.0, why)
        remark = reason(Code.SCHEDULE_SUSPENDED) if schedule.suspend else None
        return self._is(VerdictState.CONVERGED, self._changed_at(), remark)

    def _up(self) -> Verdict:
        if not self.slots and self.spec.is_global:
            # its tasks are made a moment later; none for `patience` seconds means that no node fits
            at = self._changed_at() + self.patience
            if self.now < at:
                self.again_at = at
                return self._is(VerdictState.CONVERGING, self._changed_at(), reason(Code.TASKS_NOT_MADE, tasks=0))
        since = max((self._began(history) for history in self.slots.values()), default=0.0) or self._changed_at()
        calm = SUSPICIOUS if any(map(self._failures, self.slots.values())) else STABLE
        if self.spec.is_job or not self.wanted or self.now >= since + calm:
            return self._is(VerdictState.CONVERGED, since)
        self.again_at = since + calm
        return self._is(VerdictState.CONVERGING, since, reason(Code.BEING_WATCHED))

    def _began(self, history: list[Task]) -> float:
        """Since when a slot has been as wanted; by the leader's clock if the host's clock is ahead."""
        done = [task for task in history if self.state.task_state(task) in (TaskState.RUNNING, TaskState.COMPLETE)]
        if not done or (status := self.state.statuses.get(done[-1].id)) is None:
            return 0.0
        at = status.timestamp if status.state is TaskState.COMPLETE else status.started_at or status.timestamp
        return at if at <= self.now else done[-1].updated_at

    def _slot_failed(self) -> Verdict | None:
        for slot, history in self.slots.items():
            failures = self._failures(history)
            if not failures or self._is_fulfilled(history):
                continue
            rejections = sum(self.state.task_state(task) is TaskState.REJECTED for task in failures)
            if self._is_final(history) or len(failures) >= MOST_FAILURES or rejections >= MOST_REJECTIONS:
                last, times = failures[-1], len(failures)
                return self._is(VerdictState.FAILED, self._end(last), self._failure(slot, last, times))
        return None

    def _is_final(self, history: list[Task]) -> bool:
        """Whether the restart policy allows no task after the newest."""
        newest, policy = history[-1], self.spec.task_template.restart_policy
        at = self.state.task_state(newest)
        return at in _BAD_ENDS and restart.due(policy, newest, at, self.spec.is_job) is None

    def _failure(self, slot: SlotKey, task: Task, times: int) -> Reason:
        place = f".{slot}" if isinstance(slot, int) else f" on node {hostname(self.state, slot) or slot[:12]}"
        name = f"{self.service.spec.name}{place}"
        if self.state.task_state(task) is TaskState.COMPLETE:
            return reason(Code.TASK_ENDED, task=name, times=times)
        return reason(Code.TASK_FAILED, self._why(task), task=name, times=times)

    def _stuck(self) -> Verdict | None:
        found = [task for task in self._tasks() if self._finds_no_place(task)]
        if not found:
            return None
        since = min(task.updated_at or task.created_at for task in found)
        if self.now < since + self.patience:
            self.again_at = min(self.again_at, since + self.patience)
            return None
        return self._is(VerdictState.STUCK, since, reason(Code.TASKS_WITHOUT_NODE, found[-1].reason, tasks=len(found)))

    def _tasks(self) -> Iterable[Task]:
        return (task for history in self.slots.values() for task in history)

    def _finds_no_place(self, task: Task) -> bool:
        """Whether it has a reason for having no node; a task that waits for other services wants none yet."""
        waits = task.state < TaskState.ASSIGNED and task.desired in GOING
        return waits and task.reason is not None and task.reason.code is not Code.WAITING_FOR_SERVICES

    def _degraded(self) -> Verdict | None:
        """Degraded if every slot that is not ready was ready before, and no update is in progress."""
        if self._is_updating() or self.spec.is_job or len(self.slots) < self.wanted:
            return None
        lost = [history for history in self.slots.values() if not self._is_fulfilled(history)]
        well = [[task for task in history if self._life(task) >= SUSPICIOUS] for history in lost]
        if not lost or not all(well):
            return None
        since = min(self._end(tasks[-1]) for tasks in well)
        why = self._why(well[0][-1]) or self._why(lost[0][-1])
        return self._is(VerdictState.DEGRADED, since, reason(Code.TASKS_LOST, why, tasks=len(lost)))

    def _converging(self) -> Verdict:
        decision = self.decision
        update = decision.update if decision and self._is_updating() else None
        since = max(self._changed_at(), update.started_at if update else 0.0)
        if decision is not None and decision.held and decision.waiting is not None:
            return self._is(VerdictState.CONVERGING, since, decision.waiting)
        why = self._on_their_way() or (reason(Code.UPDATING) if update else None)
        missing = self.wanted - len(self.slots)
        return self._is(
            VerdictState.CONVERGING, since, why or (reason(Code.TASKS_NOT_MADE, tasks=missing) if missing > 0 else None)
        )

    def _on_their_way(self) -> Reason | None:
        """ "2 preparing, 1 pending", and why one of them is, or why the last one failed."""
        counts: dict[str, int] = {}
        why: Reason | None = None
        for task in self._tasks():
            at = self.state.task_state(task)
            if task.desired not in GOING or at is TaskState.RUNNING or at.is_terminal:
                continue
            counts[at.value] = counts.get(at.value, 0) + 1
            why = why or self._why(task)
        failed = [task for task in self._tasks() if self.state.task_state(task) in _BAD_ENDS]
        if failed and why is None:
            why = reason(Code.LAST_FAILURE, self._why(failed[-1]))
        if not counts and why is None:
            return None
        return reason(Code.TASKS_ON_THEIR_WAY, why, states=", ".join(f"{n} {at}" for at, n in counts.items()))
