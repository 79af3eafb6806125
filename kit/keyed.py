"""Per key: work that is done once for all who want it at the same time, and locks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """The first caller for a key does the work; who comes meanwhile shares its result or its error.

    When the first is cancelled, one of the waiting takes over: nobody is cancelled by somebody else.
    """

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Future[tuple[T] | None]] = {}

    async def share(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """The outcome of `work`, one's own or another's under way."""
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
            mine.exception()  # nobody may be waiting; that is no unseen error, the caller has it
            raise
        else:
            mine.set_result((result,))
            return result
        finally:
            del self._flights[key]


class KeyedLocks:
    """One lock per key, kept only while somebody holds or wants it: sequential per key, parallel across keys."""

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
