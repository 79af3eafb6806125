"""Tasks that are started in one call and stopped in another."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from kit.supervisor import stop


class Background:
    """Tasks that live until `stop`, or to the end of `async with`, independent of one another.

    None of them may fail unseen: each is given work that is guarded, restarted or supervised (kit/supervisor.py). Where
    one function can hold them, and the failure of one is to end the others, that is a TaskGroup's work.
    """

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Run work from now on."""
        self._tasks.append(asyncio.get_running_loop().create_task(work, name=name))

    async def stop(self) -> None:
        """Cancel all of them and wait until they have ended. Others may be started afterwards."""
        tasks, self._tasks = self._tasks, []
        await stop(tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
