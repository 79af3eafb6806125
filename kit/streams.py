"""Async iterators that can be closed, whatever they are made of."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
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
