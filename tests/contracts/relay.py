"""A TCP relay that can be cut and healed: a network between a client and a server."""

from __future__ import annotations

import asyncio


class Relay:
    """Listens on a loopback port of its own and passes everything on to `target` ("host:port")."""

    def __init__(self, target: str) -> None:
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._cut = False
        self._tasks: set[asyncio.Task[None] | None] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.endpoint = ""

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.endpoint = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Break all connections and refuse new ones."""
        self._cut = True
        for writer in self._writers:
            writer.transport.abort()

    def hold(self) -> None:
        """Go silent: connections stand, nothing comes through."""
        self._flowing.clear()

    def heal(self) -> None:
        """Let everything through again."""
        self._cut = False
        self._flowing.set()

    async def close(self) -> None:
        """Stop."""
        self.cut()
        self._flowing.set()
        self._server.close()
        await self._server.wait_closed()
        await asyncio.gather(*(task for task in self._tasks if task))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        self._tasks.add(asyncio.current_task())
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        self._writers |= {writer, far_writer}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pump(reader, far_writer))
            group.create_task(self._pump(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()
