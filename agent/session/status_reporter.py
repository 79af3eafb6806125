"""Tells the managers how tasks are: the newest status per task, until it is accepted.

One batch is under way at a time; what happens meanwhile goes into the next, where newer news of a task replaces older.
A task that is on its way up is not told at once but after SETTLE, so that a quick start costs one write and not five.
Fed by: runner. Drained by: session; each session starts with all there is, as the former one may have lost some.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

from api.codec import encode
from api.objects.observed import TaskStatus
from api.states import TaskState
from api.wire.host_bounds import MOST_STATUSES, STATUSES_PIECE
from api.wire.session_messages import Statuses

SETTLE = 0.1
"""Seconds that news of a task not yet running may wait for better news."""

Send = Callable[[Statuses], Awaitable[None]]


class Reporter:
    """The statuses of this host's tasks, and which of them the managers have."""

    def __init__(self) -> None:
        self._current: dict[str, TaskStatus] = {}
        self._pending: dict[str, TaskStatus] = {}
        self._number = 0
        self._filled = asyncio.Event()
        self._urgent = asyncio.Event()
        self._accepted = asyncio.Event()

    def report(self, task_id: str, status: TaskStatus) -> None:
        """A task's newest status."""
        if self._current.get(task_id) == status:
            return
        self._current[task_id] = self._pending[task_id] = status
        self._filled.set()
        if status.state >= TaskState.RUNNING:
            self._urgent.set()

    def forget(self, task_id: str) -> None:
        """Nobody asks for this task any more."""
        self._current.pop(task_id, None)
        self._pending.pop(task_id, None)

    def accept(self, number: int) -> None:
        """The managers have stored the batch of that number; other numbers are of a former session."""
        if number == self._number:
            self._accepted.set()

    async def deliver(self, send: Send) -> NoReturn:
        """Send everything, then whatever is new, until cancelled (the session ended)."""
        self._pending = dict(self._current)
        if self._pending:
            self._filled.set()
            self._urgent.set()
        while True:
            await self._settle()
            if batch := self._take():
                self._number += 1
                self._accepted.clear()
                await send(Statuses(self._number, batch))
                await self._accepted.wait()

    async def _settle(self) -> None:
        await self._filled.wait()
        try:
            async with asyncio.timeout(SETTLE):
                await self._urgent.wait()
        except TimeoutError:
            pass

    def _take(self) -> dict[str, TaskStatus]:
        batch: dict[str, TaskStatus] = {}
        size = 0
        while self._pending and len(batch) < MOST_STATUSES and size < STATUSES_PIECE:
            task_id = next(iter(self._pending))
            batch[task_id] = status = self._pending.pop(task_id)
            size += len(encode(status)) + len(task_id)
        if not self._pending:
            self._filled.clear()
            self._urgent.clear()
        return batch
