"""A one-slot mailbox: only the newest value matters."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Put as often as you like; `take` waits for a value not taken yet and gets the newest."""

    def __init__(self) -> None:
        self._values: list[T] = []
        self._filled = asyncio.Event()

    def put(self, value: T) -> None:
        """Replace what is in the slot."""
        self._values[:] = [value]
        self._filled.set()

    async def take(self) -> T:
        """The newest value, once there is one; empties the slot."""
        await self._filled.wait()
        self._filled.clear()
        return self._values.pop()

    def __bool__(self) -> bool:
        raise TypeError("ask a mailbox for its value, not for its truth")
