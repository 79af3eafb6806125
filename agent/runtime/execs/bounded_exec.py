"""Bounded execs: commands with a time limit in running containers (health checks, hooks), by the OCI runtime."""

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
"""Bytes stored of a command's output, the last ones; memory use is bounded by it."""
_CHUNK, _LAST_READS = 64 * 1024, 16
_REAP = 1.0
"""Seconds within which the runtime's client must notice that its command was killed."""


async def run_in(
    binary: str, state: Path, scratch: Path, id: str, shape: dict[str, Any], timeout: float, group: Subgroup
) -> Output:
    """Run an OCI `process` in a container, in a control group of its own.

    Raises TimeoutError after killing it and all processes that it started.
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
            # In a task of its own, so that it completes even if the caller is cancelled again.
            await asyncio.shield(asyncio.ensure_future(_end(child, pid_file, group)))
        return Output(code, output.text())
    finally:
        os.close(sheet)
        output.close()


class Tail:
    """The last bytes written to a pipe, in bounded memory.

    It does not wait for the end of the pipe: processes that a command leaves running may hold it open.
    """

    def __init__(self, most: int) -> None:
        """`most`: the number of bytes to store."""
        self._reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.writer, True)
        self._most = most
        self._kept = bytearray()
        self._loop = asyncio.get_running_loop()

    def follow(self) -> None:
        """Begin to read, once the command has inherited the writing end."""
        os.close(self.writer)
        self.writer = -1
        self._loop.add_reader(self._reader, self._read)

    def text(self) -> bytes:
        """The last bytes written so far."""
        for _ in range(_LAST_READS):
            if not self._read():
                break
        return bytes(self._kept)

    def close(self) -> None:
        """Stop reading and close the pipe."""
        self._loop.remove_reader(self._reader)
        os.close(self._reader)
        if self.writer >= 0:
            os.close(self.writer)

    def _read(self) -> bool:
        """Read the available bytes. False if there are none."""
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
    """Kill the command and the processes it started, unless it has ended. The runtime's client ends then too."""
    if child.returncode is not None:
        await group.release()
    else:
        await group.kill()
        if (pid := _pid(pid_file)) and not await _ended(child):
            process.send_signal(pid, signal.SIGKILL)
        if not await _ended(child):
            child.kill()
            await _ended(child)  # if this times out, it hangs in the kernel
        await group.kill()  # processes that the client had not moved into the group before
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
