"""A thread pool for blocking calls that may hang: a bounded number of threads and a time limit for each caller.

asyncio's own thread pool is small and shared with name lookups: a few calls that hang (on a dead NFS server, say) would
block it for everybody. Here each kind of work has its own pool, and a hanging call occupies only a thread of that pool.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class ThreadPool:
    """At most `most` threads, named `name`. `patience`: seconds a caller waits for its result."""

    def __init__(self, name: str, most: int, patience: float) -> None:
        self._name = name
        self._most = most
        self._patience = patience
        self._places = asyncio.Semaphore(most)

    async def run(self, what: str, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `work(...)`. `what` names the work in errors ("reading its users").

        Raises TimeoutError with a readable text when there is no result in time. The thread then continues for as long
        as it hangs; its result is dropped.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def finish(report: Callable[[], None]) -> None:
            self._places.release()
            if not done.cancelled():
                report()

        def run() -> None:
            report: Callable[[], None]
            try:
                report = partial(done.set_result, work(*args, **kwargs))
            except BaseException as error:
                report = partial(done.set_exception, error)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(finish, report)

        limit = asyncio.timeout(self._patience)
        try:
            async with limit:
                await self._places.acquire()
                # a daemon thread: a hanging one must not keep the process from exiting
                threading.Thread(target=run, name=self._name, daemon=True).start()
                return await done
        except TimeoutError as error:
            if not limit.expired():
                raise  # the work's own
            full = f" ({self._most} such calls hang on this host)" if self._places.locked() else ""
            raise TimeoutError(f"{what} did not end within {self._patience:g} s{full}") from error
