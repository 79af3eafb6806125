"""Tasks that are started in one call and stopped in another."""

from __future__ import annotations

import asyncio

from kit.background import Background


async def test_all_tasks_have_ended_after_stop_and_others_can_start() -> None:
    ended: list[str] = []

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    background = Background()
    for name in ("a", "b"):
        background.start(work(name), name)
    await asyncio.sleep(0)
    await background.stop()
    assert ended == ["a", "b"]
    background.start(work("c"), "c")
    await asyncio.sleep(0)
    await background.stop()
    assert ended == ["a", "b", "c"]


async def test_tasks_end_with_the_block_however_it_ends() -> None:
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    try:
        async with Background() as background:
            background.start(work(), "work")
            await asyncio.sleep(0)
            raise ValueError
    except ValueError:
        assert cancelled.is_set()
