"""Blocking calls that may hang: each in a thread of its own, only so many at a time, none waited for too long.

asyncio's own pool of threads is small and shared with name lookups: a few calls that hang (on a dead NFS server, say)
would stop it for all. Here each kind of work has a pool of its own, and what hangs keeps a place in that one only.
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


class Workers:
    """At most `most` threads called `name`; `patience` is the seconds a caller waits."""

    def __init__(self, name: str, most: int, patience: float) -> None:
        self._name = name
        self._most = most
        self._patience = patience
        self._places = asyncio.Semaphore(most)

    async def run(self, what: str, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `work(...)`; `what` names it in errors ("reading its users").

        Raises TimeoutError, with words for people, when there is none in time. The thread then goes on for as long as
        it hangs; its result is dropped.
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
                # a daemon: one that hangs must not keep the process from ending
                threading.Thread(target=run, name=self._name, daemon=True).start()
                return await done
        except TimeoutError as error:
            if not limit.expired():
                raise  # the work's own
            full = f" ({self._most} such calls hang on this host)" if self._places.locked() else ""
            raise TimeoutError(f"{what} did not end within {self._patience:g} s{full}") from error
