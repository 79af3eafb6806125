"""A connection taken over from HTTP: Docker's raw streams (`docker exec`), with both directions and half-closing.

The client asks with `Upgrade: tcp` and gets 101, or, as old ones do, without it and gets 200; from then on there is no
HTTP on the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from api.errors import Invalid

MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
RAW = "application/vnd.docker.raw-stream"


class _Taken(asyncio.StreamReaderProtocol):
    """Serves the connection in place of aiohttp's protocol, and tells that one of the end."""

    def __init__(self, reader: asyncio.StreamReader, before: asyncio.BaseProtocol) -> None:
        super().__init__(reader)
        self._before = before

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._before.connection_lost(exc)


@asynccontextmanager
async def hijacked(
    request: web.Request, content_type: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """The request's connection as streams, its answer begun; closed at the end. Its body must have been read."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = _Taken(reader, transport.get_protocol())
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    transport.resume_reading()
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    upgrade = request.headers.get("Upgrade", "").lower() == "tcp"
    first = "101 UPGRADED" if upgrade else "200 OK"
    extra = "Connection: Upgrade\r\nUpgrade: tcp\r\n" if upgrade else ""
    try:
        writer.write(f"HTTP/1.1 {first}\r\nContent-Type: {content_type}\r\n{extra}\r\n".encode())
        await writer.drain()
        yield reader, writer
        await writer.drain()
    finally:
        writer.close()


def console_size(rows_and_columns: list[int]) -> tuple[int, int]:
    """Docker's [height, width]; (0, 0) when it is not said. Raises Invalid."""
    if not rows_and_columns:
        return 0, 0
    if len(rows_and_columns) != 2 or not all(0 <= size < 65536 for size in rows_and_columns):
        raise Invalid("ConsoleSize: give two numbers, height and width, below 65536")
    return rows_and_columns[0], rows_and_columns[1]
