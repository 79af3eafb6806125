"""The restart policy: whether and when an ended task is replaced. Everything it needs is in the tasks themselves.

A task carries the restart times of its slot, so neither a change of leader nor the deletion of history loses them.
Differs from swarmkit in one point: a slot that keeps crashing waits longer each time, up to RESTART_BACKOFF seconds.
"""

from __future__ import annotations

from msgspec.structs import replace

from api import defaults
from api.objects.decided import Task
from api.reasons.reason import Code, Reason, reason
from api.service.service_spec import RestartPolicy
from api.states import TaskState

_NONE = RestartPolicy()
_FAILURES = (TaskState.FAILED, TaskState.REJECTED)


def due(policy: RestartPolicy | None, task: Task, ended: TaskState, job: bool = False) -> float | None:
    """When a task that ended in that state is to be replaced (Unix seconds); None: never.

    Counted from `updated_at`, when the leader recorded the end: agents' clocks may be wrong.
    """
    policy = policy or _NONE
    if ended not in _FAILURES and ended is not TaskState.COMPLETE:
        return task.updated_at  # it was stopped, or its node was lost
    if not _wanted(policy, ended, job) or _exhausted(policy, task):
        return None
    return task.updated_at + delay(policy, task)


def delay(policy: RestartPolicy, task: Task) -> float:
    """Seconds to wait after this end: the policy's delay, doubled with each further restart in a burst."""
    base = policy.delay_seconds
    extra = _recent(task) - defaults.RESTART_BURST
    if extra <= 0:
        return base
    doubled = max(base, 1.0) * 2.0 ** min(extra, 10)
    return max(base, min(doubled, defaults.RESTART_BACKOFF))


def slowed(policy: RestartPolicy | None, task: Task) -> Reason | None:
    """Why the delay is longer than the policy's; None if it is not."""
    recent, policy = _recent(task), policy or _NONE
    if recent <= defaults.RESTART_BURST or delay(policy, task) == delay(policy, replace(task, restarts=[])):
        return None
    minutes = defaults.RESTART_CALM / 60
    return reason(Code.KEEPS_ENDING, restarts=recent, minutes=minutes, most=defaults.RESTART_BACKOFF)


def remember(policy: RestartPolicy | None, task: Task, now: float) -> list[float]:
    """The `restarts` of the task that replaces this one: only what `due` will need."""
    policy = policy or _NONE
    if policy.window or not policy.max_attempts:
        horizon = now - max(policy.window_seconds, defaults.RESTART_CALM)
        kept = [at for at in task.restarts if at > horizon]
    else:
        kept = task.restarts
    return [*kept, now][-max(policy.max_attempts or 0, 2 * defaults.RESTART_BURST + 5) :]


def of_run(policy: RestartPolicy | None) -> RestartPolicy:
    """The policy for a run of a scheduled job. A run has to end: without MaxAttempts it fails after RUN_ATTEMPTS."""
    policy = policy or _NONE
    if policy.max_attempts is not None:
        return policy
    return replace(policy, max_attempts=defaults.RUN_ATTEMPTS, window=None)


def is_one_shot(policy: RestartPolicy | None) -> bool:
    """Whether a task that ends successfully is not started again."""
    return policy is not None and policy.condition in ("none", "on-failure")


def _recent(task: Task) -> int:
    """Restarts in the slot within RESTART_CALM before this task ended."""
    calm = task.updated_at - defaults.RESTART_CALM
    return sum(1 for at in task.restarts if at > calm)


def _wanted(policy: RestartPolicy, ended: TaskState, job: bool) -> bool:
    if policy.condition == "none":
        return False
    only_failures = policy.condition == "on-failure" or job
    return ended in _FAILURES if only_failures else True


def _exhausted(policy: RestartPolicy, task: Task) -> bool:
    if not policy.max_attempts:
        return False
    if not policy.window:
        return len(task.restarts) >= policy.max_attempts
    start = task.updated_at - policy.window_seconds
    return sum(1 for at in task.restarts if at > start) >= policy.max_attempts
