import asyncio

import pytest

from kit.supervisor import persist


async def test_work_that_fails_is_restarted_after_the_next_delay() -> None:
    begun = asyncio.Queue[int]()
    count = 0

    async def work() -> None:
        nonlocal count
        count += 1
        begun.put_nowait(count)
        if count < 3:
            raise ValueError("not yet")
        await asyncio.Event().wait()

    task = asyncio.ensure_future(persist(work, "work", iter([0.0] * 9)))
    async with asyncio.timeout(10):
        assert [await begun.get() for _ in range(3)] == [1, 2, 3]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_that_the_work_turns_into_an_error_still_counts() -> None:
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("swallowed") from None

    task = asyncio.ensure_future(persist(work, "work", iter([0.0] * 9)))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)


async def test_work_in_a_group_that_fails_is_restarted_each_time() -> None:
    begun = asyncio.Queue[int]()

    async def fail() -> None:
        raise ValueError("again")

    async def work() -> None:
        begun.put_nowait(1)
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())

    task = asyncio.ensure_future(persist(work, "work", iter([0.0] * 9)))
    async with asyncio.timeout(10):
        assert [await begun.get() for _ in range(3)] == [1, 1, 1]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
