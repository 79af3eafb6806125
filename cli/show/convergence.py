"""When a service is as it was wanted, and when it never will be: a pure judgement over what the API shows.

A service has converged when every slot's newest task runs (its health check passed, if it has one) and did for a
moment; for longer when there were failures on the way. It has failed when a slot fails again and again, when the
update was paused or rolled back, or when tasks find no node for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from api.engine.services import ServiceAnswer
from api.engine.tasks import TaskAnswer
from api.reasons.reason import Code, Reason
from api.reasons.reason_text import text
from api.service.service_spec import RestartPolicy
from cli.show.run_rows import is_scheduled
from cli.states import ENDED

STABLE = 1.0
"""Seconds that everything must run before a service has converged, when nothing failed so far."""
SUSPICIOUS = 5.0
"""Seconds, when something failed."""
PATIENCE = 10.0
"""Seconds a task may find no node before the deploy is given up."""
_ONE_SHOT = 'what is to run once needs the restart condition none or on-failure (`restart: "no"`), or to be a job'
MOST_FAILURES = 3
MOST_REJECTIONS = 2
_BAD_ENDS = ("failed", "rejected")
_DONE_UPDATES = ("", "completed", "rollback_completed", "paused", "rollback_paused")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a service stands."""

    name: str
    state: Literal["waiting", "converged", "failed"]
    ready: int
    wanted: int
    detail: str = ""
    """What it is waiting for, or why it failed."""
    said: str = ""
    """What a task that does not run yet says of itself."""


@dataclass(slots=True)
class Judge:
    """Judges one service again and again; `before` is the start of the last update there was before ours."""

    service_id: str
    before: str = ""
    started: float = 0.0
    """When the wait began, by the caller's clock (monotonic seconds)."""
    is_rollback: bool = False
    """Whether a rollback is what was asked for."""
    patience: float = PATIENCE
    _running_since: float | None = None
    _homeless_since: float | None = None

    def look(self, service: ServiceAnswer, tasks: Iterable[TaskAnswer], now: float) -> Verdict:
        """`tasks` are those of the present revision only."""
        tasks = sorted(tasks, key=lambda task: task.created_at)
        slots = _slots(tasks)
        wanted = _wanted(service, slots)
        ready = sum(_is_fulfilled(service, history) for history in slots.values())
        name = service.spec.name

        def verdict(state: Literal["waiting", "converged", "failed"], detail: str = "") -> Verdict:
            said = _said(tasks) if state == "waiting" else ""
            return Verdict(name, state, min(ready, wanted), wanted, detail, said)

        if reason := self._update_failure(service):
            return verdict("failed", reason)
        if ready < wanted or not self._update_is_over(service) or self._is_too_early(service, slots, now):
            self._running_since = None
            reason = _slot_failure(service, slots) or self._homeless(tasks, now)
            if reason:
                return verdict("failed", reason)
            return verdict("waiting", _progress(tasks) or self._held_up(service))
        if self._running_since is None:
            self._running_since = now
        calm = SUSPICIOUS if any(_failures(service, history) for history in slots.values()) else STABLE
        if now - self._running_since >= calm or service.spec.is_job or wanted == 0:
            return verdict("converged")
        return verdict("waiting", "watching whether it stays up")

    def _update(self, service: ServiceAnswer) -> str:
        status = service.update_status
        return status.state if status and status.started_at != self.before else ""

    def _update_is_over(self, service: ServiceAnswer) -> bool:
        return self._update(service) in _DONE_UPDATES

    def _update_failure(self, service: ServiceAnswer) -> str:
        state, status = self._update(service), service.update_status
        words = {
            "paused": "the update is paused",
            "rollback_paused": "the rollback is paused",
            "rollback_completed": "the update failed and was rolled back",
        }
        if state not in words or status is None or (self.is_rollback and state == "rollback_completed"):
            return ""
        why = text(status.reason) or status.message
        return f"{words[state]}: {why}" if why else words[state]

    def _held_up(self, service: ServiceAnswer) -> str:
        """The update's message while it waits for other services."""
        status = service.update_status
        return status.message if status and _waits(status.reason) else ""

    def _is_too_early(self, service: ServiceAnswer, slots: dict[str, list[TaskAnswer]], now: float) -> bool:
        """A global service gets its tasks a moment after it is made; none for a while means that no node fits."""
        return service.spec.is_global and not slots and now - self.started < self.patience

    def _homeless(self, tasks: Sequence[TaskAnswer], now: float) -> str:
        reasons = [
            t.status.err
            for t in tasks
            if t.status.state in ("new", "pending") and t.status.err and _is_wanted(t) and not _waits(t.status.reason)
        ]
        if not reasons:
            self._homeless_since = None
            return ""
        if self._homeless_since is None:
            self._homeless_since = now
        if now - self._homeless_since < self.patience:
            return ""
        return f"{len(reasons)} task{'s' if len(reasons) > 1 else ''} found no node: {reasons[-1]}"


def _waits(reason: Reason | None) -> bool:
    """Whether other services are waited for; they have verdicts of their own."""
    return reason is not None and reason.code is Code.WAITING_FOR_SERVICES


def _slots(tasks: Sequence[TaskAnswer]) -> dict[str, list[TaskAnswer]]:
    """The tasks of each slot (replica number or node), oldest first."""
    slots: dict[str, list[TaskAnswer]] = {}
    for task in tasks:
        slots.setdefault(str(task.slot) if task.slot else task.node_id, []).append(task)
    return slots


def _wanted(service: ServiceAnswer, slots: dict[str, list[TaskAnswer]]) -> int:
    if is_scheduled(service.spec):  # such a job runs when it is due
        return 0
    if service.spec.is_global:
        return sum(any(_is_wanted(task) or task.status.state == "complete" for task in h) for h in slots.values())
    return service.spec.replicas


def _is_wanted(task: TaskAnswer) -> bool:
    return task.desired_state in ("running", "ready", "complete")


def _condition(service: ServiceAnswer) -> str:
    return (service.spec.task_template.restart_policy or RestartPolicy()).after


def _is_fulfilled(service: ServiceAnswer, history: Sequence[TaskAnswer]) -> bool:
    if service.spec.is_job:
        return any(task.status.state == "complete" for task in history)
    if any(task.status.state == "running" and task.desired_state == "running" for task in history):
        return True
    # a one-shot: it ended well, and nothing will start it again
    return history[-1].status.state == "complete" and _condition(service) != "any"


def _failures(service: ServiceAnswer, history: Sequence[TaskAnswer]) -> list[TaskAnswer]:
    """Tasks that ended as they should not have; where every end is followed by another start, those that ended well."""
    goes_on = _condition(service) == "any" and not service.spec.is_job
    ends = (*_BAD_ENDS, "complete") if goes_on else _BAD_ENDS
    return [task for task in history if task.status.state in ends]


def _slot_failure(service: ServiceAnswer, slots: dict[str, list[TaskAnswer]]) -> str:
    """Why a slot will not come up; "" while there is hope."""
    for slot, history in slots.items():
        failures = _failures(service, history)
        if not failures or _is_fulfilled(service, history):
            continue
        last = failures[-1]
        rejections = sum(task.status.state == "rejected" for task in failures)
        policy = service.spec.task_template.restart_policy
        attempts = policy.max_attempts if policy and policy.max_attempts else None
        is_final = history[-1] is last and (
            _condition(service) == "none" or (attempts is not None and len(failures) > attempts)
        )
        if is_final or len(failures) >= MOST_FAILURES or rejections >= MOST_REJECTIONS:
            times = "" if len(failures) == 1 else f" {len(failures)} times"
            name = _task_name(service, slot, last)
            if last.status.state == "complete":
                return f"{name} ended{times}, with exit code 0; {_ONE_SHOT}"
            return f"{name} failed{times}: {reason_of(last)}"
    return ""


def _task_name(service: ServiceAnswer, slot: str, task: TaskAnswer) -> str:
    return f"{service.spec.name}.{slot}" if task.slot else f"{service.spec.name} on node {slot[:12]}"


def reason_of(task: TaskAnswer) -> str:
    """Why a task ended, in its own words."""
    status = task.status
    if status.err:
        return status.err
    if status.container_status and status.container_status.exit_code:
        return f"exit code {status.container_status.exit_code}"
    return status.message or status.state


def _said(tasks: Sequence[TaskAnswer]) -> str:
    told = [t.status for t in tasks if _is_wanted(t) and t.status.state not in ("running", *ENDED)]
    if any(status.err for status in told):
        return ""  # it stands in the detail
    return next((status.message for status in told if status.message != status.state), "")


def _progress(tasks: Sequence[TaskAnswer]) -> str:
    """What the tasks that do not run yet are at: "2 preparing, 1 pending (no suitable node …)"."""
    counts: dict[str, int] = {}
    why = ""
    for task in tasks:
        state = task.status.state
        if not _is_wanted(task) or state == "running" or state in ENDED:
            continue
        counts[state] = counts.get(state, 0) + 1
        why = task.status.err or why
    failed = [task for task in tasks if task.status.state in _BAD_ENDS]
    text = ", ".join(f"{count} {state}" for state, count in counts.items())
    if failed and not why:
        why = f"last failure: {reason_of(failed[-1])}"
    return f"{text} ({why})" if text and why else text or why
