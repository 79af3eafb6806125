"""Coordination of callers by key: one lock per key, or one call in progress whose outcome all share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class KeyedLocks:
    """A lock per key, which exists only while somebody holds or wants it."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, list[None]]] = {}

    @asynccontextmanager
    async def __call__(self, key: str) -> AsyncIterator[None]:
        lock, users = self._locks.setdefault(key, (asyncio.Lock(), []))
        users.append(None)
        try:
            async with lock:
                yield
        finally:
            users.pop()
            if not users:
                self._locks.pop(key, None)


class SingleFlight(Generic[T]):
    """The first caller for a key does the work; callers that arrive meanwhile share its result or its error.

    When the first caller is cancelled, a waiting one takes over: no caller is cancelled because of another.
    """

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Future[tuple[T] | None]] = {}

    async def share(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """The outcome of `work`: of this call, or of one for the same key that is in progress."""
        while flight := self._flights.get(key):
            if (outcome := await asyncio.shield(flight)) is not None:
                return outcome[0]
        mine: asyncio.Future[tuple[T] | None] = asyncio.get_running_loop().create_future()
        self._flights[key] = mine
        try:
            result = await work()
        except asyncio.CancelledError:
            mine.set_result(None)
            raise
        except BaseException as error:
            mine.set_exception(error)
            mine.exception()  # marks the error as retrieved: perhaps nobody waits, and this caller raises it
            raise
        else:
            mine.set_result((result,))
            return result
        finally:
            del self._flights[key]
