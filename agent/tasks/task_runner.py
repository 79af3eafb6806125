"""Runs one task: asks task.step what to do, does it, looks again.

At any time a runner does one thing (its activity). Things that only wait are given up when what is wanted changes;
things that make or remove something are carried to their end first, so nothing is left half done. All is idempotent:
a runner of a restarted agent goes the same way over what exists already.
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
"""What a place in the queue is held for."""
CLEANING = frozenset({Action.STOP, Action.CLOSE, Action.REMOVE})
"""What is tried until it works."""
_FAILURES = {
    Action.OPEN: Code.NETWORK_FAILED,
    Action.CREATE: Code.CREATE_FAILED,
    Action.START: Code.START_FAILED,
    Action.HOOK: Code.POST_START_FAILED,
}


class Runner:
    """One task on this host, from its order to its last trace."""

    def __init__(
        self, context: RunnerContext, wanted: Wanted, seen: Observed, status: TaskStatus | None = None
    ) -> None:
        self._context = context
        self._actions = TaskActions(context, wanted, seen)
        self._told = status
        self._doing: Action | None = None
        self._activity: asyncio.Task[None] | None = None

    @property
    def wanted(self) -> Wanted:
        """What it was told last."""
        return self._actions.wanted

    @property
    def seen(self) -> Observed:
        """What it knows."""
        return self._actions.seen

    def update(self, wanted: Wanted) -> None:
        """The managers want something else."""
        if wanted != self._actions.wanted:
            self._actions.wanted = wanted
            self._actions.changed.set()

    async def news(self) -> None:
        """Until something else is wanted; for a runner that does not run."""
        self._actions.changed.clear()
        await self._actions.changed.wait()

    def tell_trouble(self, why: str) -> None:
        """The agent cannot go on with the task now."""
        told = self._told or TaskStatus(TaskState.ACCEPTED)
        if not told.state.is_terminal and not self._actions.wanted.gone:
            trouble = clipped(reason(Code.NOT_HANDLED, text=why), MOST_TEXT)
            told = msgspec.structs.replace(told, reason=trouble, timestamp=self._context.clock())
            self._context.reporter.report(self._actions.wanted.order.id, told)

    async def run(self) -> None:
        """Until nothing is left of the task."""
        try:
            async with asyncio.TaskGroup() as group:
                while (action := self._decide()) is not Action.LEAVE:
                    self._actions.changed.clear()
                    await self._turn_to(action, group)
                    await self._actions.changed.wait()
                await self._give_up()
        finally:
            self._actions.leave_place()

    def _decide(self) -> Action:
        now = step(self._actions.wanted, self._actions.seen)
        if now.action not in STARTING and now.action is not Action.QUEUE:
            self._actions.leave_place()
        if not self._actions.wanted.gone:
            self._tell(now.status)
        return now.action

    def _tell(self, status: TaskStatus) -> None:
        if status.reason:  # what a runtime or a health check wrote may be of any length; managers take so much
            status = msgspec.structs.replace(status, reason=clipped(status.reason, MOST_TEXT))
        id, told, now = self._actions.wanted.order.id, self._told, self._context.clock()
        started = told.started_at if told else 0.0
        if not started and status.state is TaskState.RUNNING:
            started = now
        if told and msgspec.structs.replace(status, timestamp=told.timestamp, started_at=started) == told:
            return self._context.reporter.report(id, told)
        self._told = told = msgspec.structs.replace(status, timestamp=now, started_at=started)
        self._actions.see(reached=told.state, final=told if told.state.is_terminal else None)
        if told.state >= TaskState.RUNNING:
            self._context.checkpoint.note(id, told)
        return self._context.reporter.report(id, told)

    async def _turn_to(self, action: Action, group: asyncio.TaskGroup) -> None:
        if action is self._doing or (self._activity and self._doing not in INTERRUPTIBLE):
            return
        await self._give_up()
        if action is not Action.IDLE:
            self._doing = action
            self._activity = group.create_task(self._perform(action), name=f"{action.name} {self._actions.id[:12]}")

    async def _give_up(self) -> None:
        if self._activity:
            self._activity.cancel()
            await asyncio.wait([self._activity])
        self._doing = self._activity = None

    async def _perform(self, action: Action) -> None:
        try:
            await self._actions.perform(action)
            self._actions.see(trouble=None)
        except Exception as error:
            await self._failed(action, self._told_error(error))
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
        # one whose hook failed still runs, and is stopped as such
        self._actions.see(failure=failure, pid=self._actions.seen.pid if action is Action.HOOK else 0)

    def _reason(self, action: Action, error: ArgosyError) -> Reason:
        """What an error means for the task. Its text may be a runtime's or a registry's: nobody looks into it."""
        if isinstance(error.reason, Reason):
            return error.reason
        if action is Action.FETCH or isinstance(error, ImageMissing):
            spec = self._actions.wanted.spec
            image = spec.task.container_spec.image if spec else ""
            return reason(Code.IMAGE_UNAVAILABLE, image=image, text=str(error))
        return reason(_FAILURES.get(action, Code.HOST_FAILED), text=str(error))

    def _told_error(self, error: Exception) -> ArgosyError:
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if isinstance(error, ArgosyError):
            return error
        log.error("a task's step broke", task=self._actions.wanted.order.name, exc_info=error)
        return ArgosyError("an internal error of the agent; argosyd's log has the details")
