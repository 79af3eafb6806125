"""Tasks that may not fail unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NoReturn, TypeVar

import structlog

T = TypeVar("T")
log = structlog.get_logger(__name__)


async def guard(work: Coroutine[Any, Any, None], name: str) -> NoReturn:
    """Run eternal work; that it ends, for whatever reason but cancellation, is an error that is told and raised."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except BaseException:
        log.exception("task failed", task=name)
        raise
    raise RuntimeError(f"{name} ended, which it never should")


async def stop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended; their own errors are swallowed."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def heeding(work: Coroutine[Any, Any, T]) -> T:
    """The work's result; a cancellation of the caller counts, whatever error the work makes of it.

    Until Python 3.13 a TaskGroup that meets an error and a cancellation at once forgets the cancellation, and one that
    meets an error alone leaves its task looking cancelled. So the work gets a task of its own.
    """
    task = asyncio.current_task()
    try:
        return await asyncio.ensure_future(work)
    except Exception:
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from None
        raise


async def persist(work: Callable[[], Coroutine[Any, Any, Any]], name: str, delays: Iterable[float]) -> NoReturn:
    """Run eternal work; when it fails it is told, and begun again after the next delay (seconds). Never ends."""
    for delay in delays:
        try:
            await heeding(work())
            log.error("task ended and is begun again", task=name)
        except Exception:
            log.exception("task failed and is begun again", task=name)
        await asyncio.sleep(delay)
    raise RuntimeError(f"{name} has no delays left")
