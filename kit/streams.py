"""Wrappers of async iterators: one that can always be closed, and one with a minimum speed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


async def closable(items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """The same items, as a generator. Closing it closes the source, if that can be closed."""
    try:
        async for item in items:
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


async def paced(items: AsyncIterable[bytes], patience: float, slowest: float) -> AsyncIterator[bytes]:
    """The same chunks. Raises TimeoutError when the stream takes longer than `patience` seconds plus one second per
    `slowest` bytes received.
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
