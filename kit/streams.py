"""Async iterators that can be closed, whatever they are made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


async def closable(items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """The same items, as a generator; closing it closes what it was made from, if that can be closed."""
    try:
        async for item in items:
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


async def paced(items: AsyncIterable[bytes], patience: float, slowest: float) -> AsyncIterator[bytes]:
    """The same pieces. Raises TimeoutError when they are late: later than `patience` seconds and one for each
    `slowest` bytes that have come.
    """
    loop, pieces = asyncio.get_running_loop(), aiter(items)
    until = loop.time() + patience
    while True:
        async with asyncio.timeout_at(until):
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
        until += len(piece) / slowest
        yield piece
