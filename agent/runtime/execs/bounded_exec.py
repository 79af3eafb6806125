"""A further command in a running container (health checks, hooks), through the OCI runtime, for a bounded time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from agent.runtime.execs.exec_cgroups import Subgroup
from agent.runtime.interface import Output
from kit import process

_MOST_OUTPUT = 64 * 1024
"""Bytes kept of a command's output, the last ones; no more than these are ever in memory."""
_CHUNK, _LAST_READS = 64 * 1024, 16
_REAP = 1.0
"""Seconds the runtime's client gets to see that its command was killed."""


async def run_in(
    binary: str, state: Path, scratch: Path, id: str, shape: dict[str, Any], timeout: float, group: Subgroup
) -> Output:
    """Run the OCI `process` of that shape in a container, in the control group.

    Raises TimeoutError after killing it and all that it has started.
    """
    sheet, output = os.memfd_create("process", os.MFD_CLOEXEC), Tail(_MOST_OUTPUT)
    pid_file = scratch / f"{id}-exec-{sheet}"
    arguments = ["exec", "--process", f"/proc/self/fd/{sheet}", "--pid-file", str(pid_file)]
    try:
        os.write(sheet, msgspec.json.encode(shape | {"terminal": False}))
        if await asyncio.to_thread(_made, group):
            arguments += ["--cgroup", group.argument]
        child = await asyncio.create_subprocess_exec(
            binary,
            *("--root", str(state), *arguments, id),
            stdin=subprocess.DEVNULL,
            stdout=output.writer,
            stderr=output.writer,
            pass_fds=(sheet,),
        )
        output.follow()
        try:
            async with asyncio.timeout(timeout):
                code = await child.wait()
        finally:
            # A task of its own, for it is to be done even if the caller is cancelled once more.
            await asyncio.shield(asyncio.ensure_future(_end(child, pid_file, group)))
        return Output(code, output.text())
    finally:
        os.close(sheet)
        output.close()


class Tail:
    """The end of what is written to a pipe, however much that is. What a command leaves running may hold the pipe open:
    nobody waits for that.
    """

    def __init__(self, most: int) -> None:
        """`most` bytes are kept."""
        self._reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.writer, True)
        self._most = most
        self._kept = bytearray()
        self._loop = asyncio.get_running_loop()

    def follow(self) -> None:
        """The command has its end of the pipe; read from now on."""
        os.close(self.writer)
        self.writer = -1
        self._loop.add_reader(self._reader, self._read)

    def text(self) -> bytes:
        """What has been written until now."""
        for _ in range(_LAST_READS):
            if not self._read():
                break
        return bytes(self._kept)

    def close(self) -> None:
        """Read no more."""
        self._loop.remove_reader(self._reader)
        os.close(self._reader)
        if self.writer >= 0:
            os.close(self.writer)

    def _read(self) -> bool:
        """Take what is there; False when nothing is."""
        try:
            data = os.read(self._reader, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._reader)
            return False
        self._kept += data
        del self._kept[: -self._most]
        return True


def _made(group: Subgroup) -> bool:
    try:
        group.make()
    except OSError:
        group.remove()
        return False  # the container is just ending, or its groups are not where they should be
    return True


async def _end(child: asyncio.subprocess.Process, pid_file: Path, group: Subgroup) -> None:
    """Kill the command and what it started, unless it ended by itself; the runtime's client then ends too."""
    if child.returncode is not None:
        await group.release()
    else:
        await group.kill()
        if (pid := _pid(pid_file)) and not await _ended(child):
            process.send_signal(pid, signal.SIGKILL)
        if not await _ended(child):
            child.kill()
            await _ended(child)  # or it hangs in the kernel
        await group.kill()  # what the client had not yet moved there
    pid_file.unlink(missing_ok=True)


async def _ended(child: asyncio.subprocess.Process) -> bool:
    try:
        async with asyncio.timeout(_REAP):
            await child.wait()
    except TimeoutError:
        return False
    return True


def _pid(pid_file: Path) -> int:
    try:
        return int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return 0
