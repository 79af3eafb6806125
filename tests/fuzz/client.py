"""Sends bytes to an API socket and looks at what comes back, as no client library would."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")
MOST_READ = 256 * 1024
"""Bytes of an answer that are looked at; streams go on for ever."""


@dataclass(frozen=True)
class Answer:
    """The first answer on a connection."""

    status: int
    """0 when the connection was closed without one."""
    seconds: float
    """Until its first line."""
    text: bytes


async def send(socket: Path, data: bytes, patience: float, linger: float = 0.05) -> Answer:
    """Send it on a connection of its own. Raises TimeoutError when nothing comes within `patience` seconds.

    A request that is not whole by HTTP's rules is ended by closing our side after a moment.
    """
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        began = loop.time()
        writer.write(data)
        try:
            first = await _first(reader, writer, patience)
        except TimeoutError:
            if writer.transport.get_write_buffer_size():
                return Answer(0, patience, b"")  # it waits for a container to end, and reads no body meanwhile
            raise
        took = loop.time() - began
        found = _STATUS.match(first)
        rest = await _rest(reader, linger) if found else b""
        return Answer(int(found[1]) if found else 0, took, first + rest)
    finally:
        writer.transport.abort()


async def _first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: float) -> bytes:
    """The first bytes; when none come soon, we say that we have nothing more to send."""
    read = asyncio.ensure_future(reader.read(MOST_READ))
    try:
        done, _ = await asyncio.wait({read}, timeout=0.15)
        if not done and writer.can_write_eof():
            try:
                writer.write_eof()
            except OSError:
                pass
        return await asyncio.wait_for(read, patience)
    except ConnectionError:
        return b""
    finally:
        read.cancel()


async def _rest(reader: asyncio.StreamReader, linger: float) -> bytes:
    data = b""
    try:
        async with asyncio.timeout(linger):
            while len(data) < MOST_READ and (piece := await reader.read(MOST_READ)):
                data += piece
    except (TimeoutError, ConnectionError):
        pass
    return data
