"""Tasks that must not fail silently: run once with a guard, or restarted whenever they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, NoReturn, TypeVar

import structlog

from kit.troubles import Troubles, error_sentence

T = TypeVar("T")
WELL = 10.0
"""Seconds for which restarted work must run until its last failure counts as resolved."""

log = structlog.get_logger(__name__)


async def guard(work: Coroutine[Any, Any, None], name: str) -> NoReturn:
    """Run a coroutine that must not return. If it ends other than by cancellation, log and raise."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except BaseException:
        log.exception("task failed", task=name)
        raise
    raise RuntimeError(f"{name} ended, which it never should")


async def stop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended, ignoring their errors."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def run_cancellable(work: Coroutine[Any, Any, T]) -> T:
    """The work's result. When the caller is cancelled, CancelledError is raised whatever error the work raises.

    Before Python 3.13 a TaskGroup that meets an error and a cancellation at once loses the cancellation, and one that
    meets only an error leaves its task marked as cancelled. So the work runs in a task of its own.
    """
    task = asyncio.current_task()
    try:
        return await asyncio.ensure_future(work)
    except Exception:
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from None
        raise


async def persist(work: Callable[[], Coroutine[Any, Any, Any]], name: str, delays: Iterable[float]) -> NoReturn:
    """Run work that must not return, and restart it after the next delay (seconds) when it ends. Logs failures."""
    for delay in delays:
        try:
            await run_cancellable(work())
            log.error("task ended and is begun again", task=name)
        except Exception:
            log.exception("task failed and is begun again", task=name)
        await asyncio.sleep(delay)
    raise RuntimeError(f"{name} has no delays left")


async def supervise(
    work: Callable[[], Coroutine[Any, Any, Any]],
    name: str,
    troubles: Troubles,
    delays: Callable[[], Iterator[float]],
    well: float = WELL,
) -> NoReturn:
    """Run work that must not return, and restart it when it ends. Failures are reported to `troubles`.

    Restarts wait for the next of `delays()`, in seconds. After the work has run for `well` seconds, its trouble is
    resolved and the delays start over.
    """
    loop, waits = asyncio.get_running_loop(), delays()
    while True:
        began = loop.time()
        over = loop.call_later(well, troubles.resolve, name)
        try:
            await run_cancellable(work())
            troubles.report(name, "it ended, which it never should; it is begun again")
        except Exception as error:
            troubles.report(name, error_sentence(error), error)
        finally:
            over.cancel()
        if loop.time() - began >= well:
            waits = delays()
        await asyncio.sleep(next(waits))
