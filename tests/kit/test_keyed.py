"""Locks and single flight by key."""

from __future__ import annotations

import asyncio

import pytest

from kit.keyed import KeyedLocks, SingleFlight


async def test_work_for_one_key_is_done_once_and_all_get_its_outcome() -> None:
    flights: SingleFlight[int] = SingleFlight()
    done: list[str] = []

    async def work() -> int:
        await asyncio.sleep(0)
        done.append("once")
        return len(done)

    assert await asyncio.gather(*(flights.share("a", work) for _ in range(3)), flights.share("b", work)) == [1, 1, 1, 2]
    assert await flights.share("a", work) == 3


async def test_an_error_is_shared_and_a_cancellation_is_not() -> None:
    flights: SingleFlight[int] = SingleFlight()
    begun = 0

    async def work() -> int:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0.01)
        if begun == 1:
            raise AssertionError("it was cancelled")
        raise ValueError("no")

    first, second, third = (asyncio.ensure_future(flights.share("a", work)) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    for waiting in (second, third):
        with pytest.raises(ValueError, match="no"):
            await waiting
    assert (first.cancelled(), begun) == (True, 2)


async def test_a_lock_is_one_per_key_and_leaves_nothing_behind() -> None:
    locks, order = KeyedLocks(), list[str]()

    async def use(key: str, name: str) -> None:
        async with locks(key):
            order.append(name)
            await asyncio.sleep(0.01)
            order.append(name)

    await asyncio.gather(use("a", "1"), use("a", "2"), use("b", "3"))
    assert order == ["1", "3", "1", "2", "3", "2"] or order == ["1", "3", "1", "3", "2", "2"]
    assert not locks._locks
