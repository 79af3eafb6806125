"""Background tasks, which are started in one call and stopped in another."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from kit.supervisor import stop


class Background:
    """Independent tasks that run until `stop` or the end of `async with`.

    None may fail silently: pass work that is guarded, restarted or supervised (kit/supervisor.py). Use a TaskGroup
    instead where one function holds the tasks and a failure of one must end the others.
    """

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Start a task that runs `work`."""
        self._tasks.append(asyncio.get_running_loop().create_task(work, name=name))

    async def stop(self) -> None:
        """Cancel all tasks and wait until they have ended. New ones may be started afterwards."""
        tasks, self._tasks = self._tasks, []
        await stop(tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
