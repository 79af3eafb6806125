"""Child processes: started by vfork, their end learned from a pidfd."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

_REAP = 2.0
"""Seconds a killed process has to be gone."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended. `code` is negative for a signal."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        """Whether it exited 0."""
        return self.code == 0

    @property
    def complaint(self) -> str:
        """The last words it wrote, for an error message."""
        text = (self.stderr or self.stdout).decode(errors="replace").strip()
        return text.splitlines()[-1] if text else f"exit code {self.code}"


def use_pidfds() -> None:
    """Make asyncio watch children by pidfd rather than by a thread each (call once, before the loop runs)."""
    asyncio.get_event_loop_policy().set_child_watcher(asyncio.PidfdChildWatcher())


async def run(
    *command: str,
    stdin: bytes | int | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    timeout: float | None = None,
) -> Result:
    """Run a command to its end and return what it said. Killed when the caller is cancelled or time is up.

    One that not even a kill ends (it hangs in the kernel) is left behind. `stdin` is bytes to feed, or a file
    descriptor. Raises TimeoutError, and OSError when it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        pass_fds=pass_fds,
    )
    try:
        async with asyncio.timeout(timeout):
            out, err = await process.communicate(stdin if isinstance(stdin, bytes) else None)
    except BaseException:
        if process.returncode is None:
            process.kill()
            with suppress(TimeoutError):
                async with asyncio.timeout(_REAP):
                    await process.wait()
        raise
    return Result(process.returncode or 0, out, err)


async def wait_pid(pid: int) -> None:
    """Until the process (any process, not only a child) has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(fd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)


def alive(pid: int) -> bool:
    """Whether a process of that number runs; one that has ended and waits to be reaped does not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def send_signal(pid: int, number: int = signal.SIGTERM) -> bool:
    """Signal a process; False when it is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
