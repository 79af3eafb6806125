"""What an agent sends, as it comes from the stream: read no faster than one host has reason to talk, then decoded.

The reader waits, the stream's own flow control holds back the sender: so a flood stays with who makes it. A host
that keeps to the protocol comes nowhere near these rates.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from api.wire import host_bounds as bounds
from api.wire import rpc
from api.wire.session_messages import AgentMessage, Hello, Statuses
from kit.throttle import Throttle

MESSAGES = (200.0, 400.0)
"""Per second, and at once."""
BYTES = (bounds.MOST_MESSAGE / 2, bounds.MOST_MESSAGE * 4.0)
STATUSES = (500.0, 5000.0)
HELLOS = (2.0, 30.0)
"""Descriptions. Each may be large, and is written for all managers to read."""


class Readable(Protocol):
    """The side of a call that is read (grpc.aio.ServicerContext)."""

    async def read(self) -> Any:
        """The next message's bytes; grpc.aio.EOF at the end."""
        ...


class Inbox:
    """One session's messages."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._clock = asyncio.get_running_loop().time
        self._messages = Throttle(*MESSAGES)
        self._bytes = Throttle(*BYTES)
        self._statuses = Throttle(*STATUSES)
        self._hellos = Throttle(*HELLOS)

    async def read(self) -> AgentMessage | None:
        """The next message; None at the end of the stream. Raises Invalid when it is none."""
        data = await self._stream.read()
        if not isinstance(data, bytes):
            return None
        now = self._clock()
        await _pause(max(self._messages.take(1, now), self._bytes.take(len(data), now)))
        message = rpc.read(AgentMessage, data)
        if isinstance(message, Statuses):
            await _pause(self._statuses.take(len(message.statuses), self._clock()))
        elif isinstance(message, Hello):
            await _pause(self._hellos.take(1, self._clock()))
        return message


async def _pause(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)
