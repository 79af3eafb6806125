"""The task runner: asks the step function of agent/lifecycle/step.py for the next action, performs it, and repeats.

A runner performs one action at a time. Actions that only wait are cancelled when another one is due; actions that
make or remove something are completed first, so that nothing is left half done. All actions are idempotent: the runner
of a restarted agent performs the same ones over what exists already.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from agent.lifecycle.step import Action, Failure, Observed, Wanted, step
from agent.runtime.interface import ImageMissing
from agent.tasks.task_actions import RunnerContext, TaskActions
from api.errors import ArgosyError, NotFound
from api.objects.observed import TaskStatus
from api.reasons.reason import Code, Reason, clipped, reason
from api.states import TaskState
from api.wire.host_bounds import MOST_TEXT

log = structlog.get_logger(__name__)

INTERRUPTIBLE = frozenset(
    {Action.DRAIN, Action.LINGER, Action.IDLE, Action.FETCH, Action.CONNECT, Action.QUEUE, Action.HOOK, Action.WATCH}
)
STARTING = frozenset({Action.OPEN, Action.CREATE, Action.START})
"""Actions during which the task holds a place among the starting containers."""
CLEANING = frozenset({Action.STOP, Action.CLOSE, Action.REMOVE})
"""Actions that are repeated until they succeed."""
_FAILURES = {
    Action.OPEN: Code.NETWORK_FAILED,
    Action.CREATE: Code.CREATE_FAILED,
    Action.START: Code.START_FAILED,
    Action.HOOK: Code.POST_START_FAILED,
}


class TaskRunner:
    """Runs one task on this host, from its assignment until nothing is left of it."""

    def __init__(
        self, context: RunnerContext, wanted: Wanted, seen: Observed, status: TaskStatus | None = None
    ) -> None:
        self._context = context
        self._actions = TaskActions(context, wanted, seen)
        self._reported = status
        self._doing: Action | None = None
        self._activity: asyncio.Task[None] | None = None

    @property
    def wanted(self) -> Wanted:
        """The state that the managers want, as last updated."""
        return self._actions.wanted

    @property
    def seen(self) -> Observed:
        """The observed state."""
        return self._actions.seen

    def update(self, wanted: Wanted) -> None:
        """Set the wanted state."""
        if wanted != self._actions.wanted:
            self._actions.wanted = wanted
            self._actions.changed.set()

    async def wait_for_change(self) -> None:
        """Return when the wanted state changes. Only for use while `run` is not running."""
        self._actions.changed.clear()
        await self._actions.changed.wait()

    def report_trouble(self, why: str) -> None:
        """Report that the agent cannot handle the task now, and why."""
        reported = self._reported or TaskStatus(TaskState.ACCEPTED)
        if not reported.state.is_terminal and not self._actions.wanted.gone:
            trouble = clipped(reason(Code.NOT_HANDLED, text=why), MOST_TEXT)
            reported = msgspec.structs.replace(reported, reason=trouble, timestamp=self._context.clock())
            self._context.reporter.report(self._actions.wanted.order.id, reported)

    async def run(self) -> None:
        """Run the task. Returns when nothing is left of it."""
        try:
            async with asyncio.TaskGroup() as group:
                while (action := self._decide()) is not Action.LEAVE:
                    self._actions.changed.clear()
                    await self._switch_to(action, group)
                    await self._actions.changed.wait()
                await self._cancel_activity()
        finally:
            self._actions.leave_place()

    def _decide(self) -> Action:
        now = step(self._actions.wanted, self._actions.seen)
        if now.action not in STARTING and now.action is not Action.QUEUE:
            self._actions.leave_place()
        if not self._actions.wanted.gone:
            self._report(now.status)
        return now.action

    def _report(self, status: TaskStatus) -> None:
        if status.reason:  # output of a runtime or a health check has any length; managers accept MOST_TEXT
            status = msgspec.structs.replace(status, reason=clipped(status.reason, MOST_TEXT))
        id, reported, now = self._actions.wanted.order.id, self._reported, self._context.clock()
        started = reported.started_at if reported else 0.0
        if not started and status.state is TaskState.RUNNING:
            started = now
        if reported and msgspec.structs.replace(status, timestamp=reported.timestamp, started_at=started) == reported:
            return self._context.reporter.report(id, reported)
        self._reported = reported = msgspec.structs.replace(status, timestamp=now, started_at=started)
        self._actions.see(reached=reported.state, final=reported if reported.state.is_terminal else None)
        if reported.state >= TaskState.RUNNING:
            self._context.checkpoint.note(id, reported)
        return self._context.reporter.report(id, reported)

    async def _switch_to(self, action: Action, group: asyncio.TaskGroup) -> None:
        if action is self._doing or (self._activity and self._doing not in INTERRUPTIBLE):
            return
        await self._cancel_activity()
        if action is not Action.IDLE:
            self._doing = action
            self._activity = group.create_task(self._perform(action), name=f"{action.name} {self._actions.id[:12]}")

    async def _cancel_activity(self) -> None:
        if self._activity:
            self._activity.cancel()
            await asyncio.wait([self._activity])
        self._doing = self._activity = None

    async def _perform(self, action: Action) -> None:
        try:
            await self._actions.perform(action)
            self._actions.see(trouble=None)
        except Exception as error:
            await self._failed(action, self._known_error(error))
        finally:
            self._doing = self._activity = None
            self._actions.changed.set()

    async def _failed(self, action: Action, error: ArgosyError) -> None:
        lost = action is Action.STOP and isinstance(error, NotFound)
        if (action in CLEANING and not lost) or (action is Action.FETCH and error.temporary):
            name = self._actions.wanted.order.name
            log.warning(
                "a task's step failed, will be tried again", task=name, step=action.name.lower(), why=str(error)
            )
            self._actions.see(trouble=self._reason(action, error))
            self._actions.changed.set()
            await asyncio.sleep(next(self._actions.delays))
            return
        before = action not in (Action.START, Action.HOOK, Action.WATCH, Action.STOP)
        failure = Failure(TaskState.REJECTED if before else TaskState.FAILED, self._reason(action, error))
        # After a failed hook the container still runs, and STOP needs its pid.
        self._actions.see(failure=failure, pid=self._actions.seen.pid if action is Action.HOOK else 0)

    def _reason(self, action: Action, error: ArgosyError) -> Reason:
        """The reason for a task's status. The error's text, a runtime's or a registry's, is not parsed."""
        if isinstance(error.reason, Reason):
            return error.reason
        if action is Action.FETCH or isinstance(error, ImageMissing):
            spec = self._actions.wanted.spec
            image = spec.task.container_spec.image if spec else ""
            return reason(Code.IMAGE_UNAVAILABLE, image=image, text=str(error))
        return reason(_FAILURES.get(action, Code.HOST_FAILED), text=str(error))

    def _known_error(self, error: Exception) -> ArgosyError:
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if isinstance(error, ArgosyError):
            return error
        log.error("a task's step broke", task=self._actions.wanted.order.name, exc_info=error)
        return ArgosyError("an internal error of the agent; argosyd's log has the details")
