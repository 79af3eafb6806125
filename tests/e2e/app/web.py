"""A web server that stops as good ones do: HTTP/1.1 with connections kept, and no request lost on SIGTERM.

Told to stop, it accepts no more, ends each connection with the answer to its next request, and exits when none is left.
/tmp/ready exists once it listens.
"""

import asyncio
import signal
import socket
from pathlib import Path

PATIENCE = 6.0
"""Seconds that kept connections have to send one more request."""
BODY = socket.gethostname().encode()


class Web:
    """The server and its open connections."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.open: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request by request."""
        task = asyncio.current_task()
        assert task
        self.open.add(task)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                last = self.stopping.is_set()
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n{'Connection: close' * last}"
                writer.write(head.rstrip().encode() + b"\r\n\r\n" + BODY)
                await writer.drain()
                if last:
                    break
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()
            self.open.discard(task)

    async def run(self) -> None:
        """Until SIGTERM, and until what is open then has ended."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stopping.set)
        server = await asyncio.start_server(self.serve, "0.0.0.0", 8000)
        Path("/tmp/ready").touch()
        await self.stopping.wait()
        server.close()
        if self.open:
            await asyncio.wait(self.open, timeout=PATIENCE)


if __name__ == "__main__":
    asyncio.run(Web().run())
