"""The terminal of an exec, and how argosyd gets its master side from each OCI runtime.

crun sends the master of the container's terminal through a socket. runc does that only in the background, where its
exit code is lost; so runc runs on a terminal made here, and copies between the two.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import termios
import tty
from pathlib import Path

from agent.runtime.interface import RuntimeFailure

_HANDOVER = 10.0
"""Seconds for the OCI runtime to send the terminal."""


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Set the window size of a terminal; either side of it will do."""
    if rows > 0 and columns > 0:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class SentConsole:
    """A socket to which the runtime (crun) sends the master side of a new terminal."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._listener.setblocking(False)

    def arguments(self, command: list[str]) -> list[str]:
        """The command line of `runtime exec …`."""
        place = command.index("exec") + 1
        return [*command[:place], "--console-socket", str(self._path), *command[place:]]

    @property
    def stdio(self) -> int | None:
        """The runtime's standard streams; None for /dev/null."""
        return None

    async def master(self, runtime: asyncio.subprocess.Process) -> int | None:
        """The terminal's master side; None if the runtime ended without making one. Raises RuntimeFailure."""
        ended = asyncio.ensure_future(runtime.wait())
        sent = asyncio.ensure_future(self._receive())
        try:
            async with asyncio.timeout(_HANDOVER):
                await asyncio.wait([ended, sent], return_when=asyncio.FIRST_COMPLETED)
                return sent.result() if sent.done() else None
        except TimeoutError:
            raise RuntimeFailure("the OCI runtime did not hand over the terminal of the command") from None
        finally:
            for task in (ended, sent):
                task.cancel()
            self.close()

    def close(self) -> None:
        """Close the socket."""
        self._listener.close()
        self._path.unlink(missing_ok=True)

    async def _receive(self) -> int:
        loop = asyncio.get_running_loop()
        connection, _ = await loop.sock_accept(self._listener)
        with connection:
            readable = asyncio.Event()
            loop.add_reader(connection, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(connection)
            _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
        if not descriptors:
            raise RuntimeFailure("the OCI runtime sent no terminal for the command")
        os.set_inheritable(descriptors[0], False)
        return descriptors[0]


class OwnConsole:
    """A terminal made by argosyd; its slave side is the runtime's (runc) standard streams and controlling terminal."""

    def __init__(self, rows: int, columns: int) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)  # runc does so too, but later: what was typed before would be lost
        set_size(self._master, rows, columns)

    def arguments(self, command: list[str]) -> list[str]:
        """The command line of `runtime exec …`: in its own session, where it gets SIGWINCH for the window's size."""
        return ["setsid", "--ctty", "--wait", *command]

    @property
    def stdio(self) -> int | None:
        """The runtime's standard streams."""
        return self._slave

    async def master(self, runtime: asyncio.subprocess.Process) -> int | None:
        """The terminal's master side."""
        os.close(self._slave)
        return self._master

    def close(self) -> None:
        """Close both sides; for a runtime that could not be started."""
        os.close(self._master)
        os.close(self._slave)


Console = SentConsole | OwnConsole
