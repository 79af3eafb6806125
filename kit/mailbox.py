"""A one-slot mailbox: only the newest value matters."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """`put` never waits; `take` waits until there is a value that was not taken yet."""

    def __init__(self) -> None:
        self._values: list[T] = []
        self._filled = asyncio.Event()

    def put(self, value: T) -> None:
        """Put a value into the slot, replacing an older one."""
        self._values[:] = [value]
        self._filled.set()

    async def take(self) -> T:
        """Wait for a value, remove it from the slot and return it."""
        await self._filled.wait()
        self._filled.clear()
        return self._values.pop()

    def __bool__(self) -> bool:
        raise TypeError("ask a mailbox for its value, not for its truth")
