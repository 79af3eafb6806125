"""Inbox: the messages of one agent, read from its stream at a limited rate and decoded.

When the limit is reached the reader pauses, and the stream's flow control slows the sender, so that a flood harms only
its sender. A correct host stays far below these rates.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from api.wire import host_bounds as bounds
from api.wire import rpc
from api.wire.session_messages import AgentMessage, Hello, Statuses
from kit.throttle import Throttle

MESSAGES = (200.0, 400.0)
"""Per second, and in a burst."""
BYTES = (bounds.MOST_MESSAGE / 2, bounds.MOST_MESSAGE * 4.0)
STATUSES = (500.0, 5000.0)
HELLOS = (2.0, 30.0)
"""Node descriptions: each may be large, and goes to all managers through the store."""


class ReadableStream(Protocol):
    """The receiving side of a call (grpc.aio.ServicerContext)."""

    async def read(self) -> Any:
        """The next message's bytes; grpc.aio.EOF at the end."""
        ...


class Inbox:
    """The incoming messages of one session."""

    def __init__(self, stream: ReadableStream) -> None:
        self._stream = stream
        self._clock = asyncio.get_running_loop().time
        self._messages = Throttle(*MESSAGES)
        self._bytes = Throttle(*BYTES)
        self._statuses = Throttle(*STATUSES)
        self._hellos = Throttle(*HELLOS)

    async def read(self) -> AgentMessage | None:
        """The next message; None at the end of the stream. Raises Invalid for data that is not a message."""
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
