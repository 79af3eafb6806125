"""The status reporter: sends each task's newest status to the managers until it is accepted.

One batch is in flight at a time; later statuses go into the next batch, where a task's newer status replaces its older.
Statuses below RUNNING wait for SETTLE, so that a quick start costs one write instead of five. Runners report, the
session delivers; each session begins with all statuses, since the one before may have lost some.
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
"""Seconds that the status of a task below RUNNING may wait for a newer one."""

Send = Callable[[Statuses], Awaitable[None]]


class StatusReporter:
    """The statuses of this host's tasks, and which of them the managers have."""

    def __init__(self) -> None:
        self._current: dict[str, TaskStatus] = {}
        self._pending: dict[str, TaskStatus] = {}
        self._number = 0
        self._filled = asyncio.Event()
        self._urgent = asyncio.Event()
        self._accepted = asyncio.Event()

    def report(self, task_id: str, status: TaskStatus) -> None:
        """Set a task's newest status."""
        if self._current.get(task_id) == status:
            return
        self._current[task_id] = self._pending[task_id] = status
        self._filled.set()
        if status.state >= TaskState.RUNNING:
            self._urgent.set()

    def forget(self, task_id: str) -> None:
        """Drop a task that is no longer assigned to this host."""
        self._current.pop(task_id, None)
        self._pending.pop(task_id, None)

    def accept(self, number: int) -> None:
        """Note that the managers have stored the batch `number`. Numbers of earlier sessions are ignored."""
        if number == self._number:
            self._accepted.set()

    async def deliver(self, send: Send) -> NoReturn:
        """Send all statuses, then each new batch, until cancelled at the session's end."""
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
