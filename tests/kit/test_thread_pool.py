"""Blocking calls that hang do not delay other callers."""

from __future__ import annotations

import asyncio
import threading

import pytest

from kit.thread_pool import ThreadPool


async def test_a_call_gives_its_result_or_its_own_error() -> None:
    workers = ThreadPool("test", 2, 30.0)

    assert await workers.run("dividing", divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await workers.run("dividing", divmod, 7, 0)


async def test_hanging_calls_are_abandoned_and_occupy_only_their_own_pool() -> None:
    ended = threading.Event()
    workers, others = ThreadPool("test", 2, 0.1), ThreadPool("others", 2, 30.0)
    for _ in range(2):
        with pytest.raises(TimeoutError, match=r"reading it did not end within 0\.1 s"):
            await workers.run("reading it", ended.wait)

    with pytest.raises(TimeoutError, match=r"looking did not end within 0\.1 s \(2 such calls hang on this host\)"):
        await workers.run("looking", str)
    assert await others.run("looking", str) == ""
    ended.set()
    while workers._places.locked():
        await asyncio.sleep(0.01)
    assert await workers.run("looking", str) == ""


async def test_a_cancelled_caller_does_not_wait_for_the_thread() -> None:
    ended = threading.Event()
    workers = ThreadPool("test", 1, 30.0)
    task = asyncio.ensure_future(workers.run("reading", ended.wait))
    await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    ended.set()

    assert await workers.run("reading", str) == ""
